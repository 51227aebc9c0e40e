"""Frechet physics distance (FPD) between two feature arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caloforge.observables import Floats
from caloforge.validate.feature_space.arrays import Rows, each, normalise, pair, parts

PUBLISHED_SHOWERS = 50_000
"""Showers of each sample from which on the batches are those of the CaloChallenge."""

SMALLEST_BATCH = 10_000
POINTS = 10
BATCHES = 20
PARTS = 5
MIN_SHOWERS = 100


def frechet_distance(mean_1: Floats, cov_1: Floats, mean_2: Floats, cov_2: Floats) -> float:
    """|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2) of two Gaussians in d dimensions.

    The last trace is the sum of the square roots of the eigenvalues of S1^1/2 S2 S1^1/2, which is
    symmetric; eigenvalues that rounding makes negative count as 0. Singular covariances are legal.
    """
    values, vectors = np.linalg.eigh(cov_1)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))  # S1^1/2 up to a rotation
    mixed = np.clip(np.linalg.eigvalsh(root.T @ cov_2 @ root), 0.0, None)
    shift = mean_1 - mean_2
    return float(shift @ shift + np.trace(cov_1) + np.trace(cov_2) - 2 * np.sqrt(mixed).sum())


def _moments(batch: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of a batch, which is centred in place."""
    mean = batch.mean(axis=0)
    batch -= mean
    return mean, batch.T @ batch / (len(batch) - 1)


def _distances(
    reference: Floats, generated: Floats, batches: list[tuple[Rows, Rows]]
) -> list[float]:
    def distance(rows: tuple[Rows, Rows]) -> float:
        return frechet_distance(*_moments(reference[rows[0]]), *_moments(generated[rows[1]]))

    return each(distance, batches)


def batch_sizes(low: int, high: int) -> list[int]:
    """Ten batch sizes N from ``low`` to ``high``, equally spaced in 1/N (JetNet)."""
    return [int(size + 1e-6) for size in 1 / np.linspace(1 / low, 1 / high, POINTS)]


def fit(sizes: list[int], values: Floats, *, bounded: bool) -> tuple[float, float]:
    """Intercept of the least-squares line through (1/N, value), and its error.

    The error is that of the usual covariance, residuals / (points - 2) times (A^T A)^-1.
    ``bounded`` keeps intercept and slope from being negative, as JetNet does.
    """
    from scipy.optimize import nnls

    table = np.column_stack([np.ones(len(sizes)), sizes[0] / np.asarray(sizes, dtype=np.float64)])
    line = nnls(table, values)[0] if bounded else np.linalg.lstsq(table, values)[0]
    residual = values - table @ line
    variance = float(residual @ residual) / (len(sizes) - 2)
    return float(line[0]), float(np.sqrt(variance * np.linalg.inv(table.T @ table)[0, 0]))


def _published(
    reference: Floats, generated: Floats, sizes: list[int], rng: np.random.Generator
) -> tuple[float, float]:
    """JetNet's value and error: batches drawn with replacement."""
    means = np.zeros(len(sizes))
    for number, size in enumerate(sizes):
        batches = [
            (rng.integers(len(reference), size=size), rng.integers(len(generated), size=size))
            for _ in range(BATCHES)
        ]
        means[number] = np.mean(_distances(reference, generated, batches))
    return fit(sizes, means, bounded=True)


def _disjoint(n: int, size: int, rng: np.random.Generator) -> list[Rows]:
    """20 batches without repetition: disjoint ones as long as the sample lasts, then afresh."""
    rows: list[Rows] = []
    while len(rows) < BATCHES:
        rows += parts(n, n // size, rng)
    return [row[:size] for row in rows[:BATCHES]]


def _scaled(
    reference: Floats, generated: Floats, sizes: list[int], rng: np.random.Generator
) -> tuple[float, float]:
    """Value and error from batches drawn without replacement."""
    means, spread = np.zeros(len(sizes)), 0.0
    for number, size in enumerate(sizes):
        draws = [_disjoint(len(sample), size, rng) for sample in (reference, generated)]
        if len(reference) == len(generated) == size:
            draws = [draw[:1] for draw in draws]  # all batches are the whole samples
        values = _distances(reference, generated, list(zip(*draws, strict=True)))
        means[number] = np.mean(values)
        if number == 0:
            groups = np.reshape(values, (BATCHES // PARTS, PARTS))
            spread = float(np.sqrt(groups.var(axis=1, ddof=1).mean() / PARTS))
    return fit(sizes, means, bounded=False)[0], spread


def fpd(reference: ArrayLike, generated: ArrayLike, *, seed: int = 0) -> dict[str, Any]:
    """Frechet physics distance of two feature arrays, extrapolated to infinite samples.

    Both arrays are divided by the largest |reference| of each feature. The Frechet distance
    d(N) between batches of N showers is biased by about c / N; 20 batches are averaged at each of
    10 sizes N, equally spaced in 1/N, and a line d(N) = d + c / N is fitted. ``value`` = d.

    From 50,000 showers of both samples on (``published``: True) this is what the CaloChallenge
    publishes: N from 10,000 to 50,000, batches drawn with replacement, intercept and slope not
    below 0, ``error`` of the intercept from the fit. Drawing with replacement leaves a bias of
    c / n of a sample of n showers, which no extrapolation removes.

    With fewer showers that bias would be most of the value, so batches are drawn *without*
    replacement from the n showers that both samples have at least: every batch is then a true
    sample, and the line is free of bias to first order. N runs from n / 5 to n. The value may come
    out slightly below 0, which means 0. Points of the line share their showers, so ``error`` is not
    that of the fit, but the standard error of d over five disjoint parts of the samples: close to
    the error of the value where the samples differ, larger where they do not.

    Args:
        reference: shape (n, d), for example :func:`high_level_features`; no units.
        generated: shape (m, d).
        seed: chooses the batches.

    Returns:
        ``value``, ``error``, ``showers`` (n, of the smaller sample), ``batch`` [low, high] and
        ``published``. ``value``, ``error`` and ``batch`` are None with fewer than 100 showers, or
        with fewer than ten times as many as features that vary: d(N) is no line in 1/N there.

    Source: R. Kansal et al., Phys. Rev. D 107 (2023) 076017 and JetNet; CaloChallenge for N.
    """
    first, second = normalise(*pair(reference, generated))
    n, rng = min(len(first), len(second)), np.random.default_rng(seed)
    low, high = n // PARTS, n
    if n >= PUBLISHED_SHOWERS:
        low, high = SMALLEST_BATCH, PUBLISHED_SHOWERS
    result: dict[str, Any] = {"value": None, "error": None, "showers": n, "batch": None}
    result["published"] = n >= PUBLISHED_SHOWERS
    if n < MIN_SHOWERS:
        return result
    varying = (np.ptp(first, axis=0) > 0) | (np.ptp(second, axis=0) > 0)
    if low < 2 * np.count_nonzero(varying):
        return result
    shift = first[0, ~varying] - second[0, ~varying]
    if len(shift):
        first, second = first[:, varying], second[:, varying]
    measure = _published if result["published"] else _scaled
    value, error = measure(first, second, batch_sizes(low, high), rng)
    return result | {"value": value + float(shift @ shift), "error": error, "batch": [low, high]}
