"""Samples cut in two for the floor, and into ten for the uncertainties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.observables import Floats

MIN_SHOWERS = 4
FOLDS = 10


def paired(reference: ArrayLike, generated: ArrayLike) -> bool:
    """Whether the incident energies of one sample are those of the other, not only alike.

    True when the Wasserstein distance of the two sets of energies (MeV) is less than a quarter of
    sigma sqrt(1/n + 1/m), where independent samples of the same spectrum have about 0.8 of it.
    """
    from scipy.stats import wasserstein_distance

    ref, gen = (np.asarray(each, dtype=np.float64) for each in (reference, generated))
    spread = float(ref.std()) * np.sqrt(1 / len(ref) + 1 / len(gen))
    return bool(wasserstein_distance(ref, gen) <= 0.25 * spread)


def _in_pairs(energy: Floats, rng: np.random.Generator, pairs: bool) -> NDArray[np.int64]:
    """All rows in an order in which two that follow each other are a pair: by energy, or any."""
    order = rng.permutation(len(energy))
    return order[np.argsort(energy[order], kind="stable")] if pairs else order


def _coins(order: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A coin for every pair: which of the two is in the second half."""
    pairs = len(order) // 2
    mask = np.zeros(len(order), dtype=np.bool_)
    mask[order[2 * np.arange(pairs) + rng.integers(0, 2, pairs)]] = True
    return mask


def halves(energy: ArrayLike, seed: int = 0, *, pairs: bool = True) -> NDArray[np.bool_] | None:
    """A seeded random split into two halves, as a mask (n,).

    With ``pairs`` the halves have the same incident energies (MeV): showers are paired with their
    neighbours in energy, and a coin decides which of a pair goes where. That is the floor of
    showers generated with the reference's energies: no difference of the spectra hides what the
    showers do. Without, the halves are independent, as are samples with energies of their own.
    None when n < 4; an odd shower (with ``pairs`` the highest) goes into the first half (False).
    """
    values = np.asarray(energy, dtype=np.float64)
    if len(values) < MIN_SHOWERS:
        return None
    rng = np.random.default_rng(seed)
    return _coins(_in_pairs(values, rng, pairs), rng)


def folds(energy: ArrayLike, seed: int = 0, *, pairs: bool = True) -> NDArray[np.int64]:
    """A seeded random cut into ten equal parts, as numbers (n,); fewer parts below 20 showers.

    With ``pairs`` all parts have the same incident energies (MeV). A pair of :func:`halves` with
    the same seed lies in one part, so each part has its showers of both halves.
    """
    values = np.asarray(energy, dtype=np.float64)
    n, rng = len(values), np.random.default_rng(seed)
    order = _in_pairs(values, rng, pairs)
    count = max(1, min(FOLDS, n // 2))
    deal = np.tile(np.arange(count, dtype=np.int64), (-(-n // (2 * count)), 1))
    numbers = np.empty(n, dtype=np.int64)
    numbers[order] = np.repeat(rng.permuted(deal, axis=1).ravel(), 2)[:n]
    return numbers
