"""What the metrics of feature arrays share: checks, scaling, and seeded parts of a sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import ShowerError
from caloforge.observables import Floats

Rows = NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_WORKERS = 4


def pair(reference: ArrayLike, generated: ArrayLike) -> tuple[Floats, Floats]:
    """Two feature arrays as float64 of shapes (n, d) and (m, d).

    Raises:
        ShowerError: other shapes, or a feature that is NaN or infinite.
    """
    first = np.asarray(reference, dtype=np.float64)
    second = np.asarray(generated, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ShowerError(
            f"feature arrays have shapes {first.shape} and {second.shape}; give (n, d) and (m, d)"
        )
    for name, values in (("reference", first), ("generated", second)):
        if not np.isfinite(values).all():
            raise ShowerError(f"{name} features hold NaN or infinite values; remove those showers")
    return first, second


def normalise(reference: Floats, generated: Floats) -> tuple[Floats, Floats]:
    """Both divided by the largest |reference| of each feature (JetNet, CaloChallenge).

    A feature that the reference has all zero stays as it is.
    """
    if not len(reference):
        return reference, generated
    largest = np.abs(reference).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    return reference / largest, generated / largest


def standardise(reference: Floats, generated: Floats) -> tuple[Floats, Floats]:
    """Both minus the mean and over the standard deviation of the reference, feature by feature.

    A feature that is constant in the reference is only centred.
    """
    if not len(reference):
        return reference, generated
    mean, sigma = reference.mean(axis=0), reference.std(axis=0)
    constant = sigma <= 1e-9 * np.maximum(np.abs(reference).max(axis=0), 1e-9)
    sigma = np.where(constant, 1.0, sigma)
    return (reference - mean) / sigma, (generated - mean) / sigma


def choose(n: int, most: int, rng: np.random.Generator) -> Rows:
    """At most ``most`` of ``n`` rows, a random choice in random order."""
    return rng.permutation(n)[:most]


def parts(n: int, number: int, rng: np.random.Generator) -> list[Rows]:
    """``number`` disjoint random parts of n // number rows each."""
    size = n // number
    return list(rng.permutation(n)[: size * number].reshape(number, size))


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``function`` of every item, in order, on several cores with one BLAS thread for each.

    BLAS threads of its own make small matrices slower, and lose much where cores are shared.
    """
    from threadpoolctl import threadpool_limits

    workers = max(1, min(MAX_WORKERS, os.cpu_count() or 1))
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))
