"""Precision, recall, density and coverage: where the samples lie in each other's neighbourhoods."""

from __future__ import annotations

from math import exp, lgamma
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.classifier import high_level_features
from caloforge.validate.feature_space.arrays import choose, each, pair, parts, standardise
from caloforge.validate.summary import Summary

NEIGHBOURS = 5
MAX_SHOWERS = 10_000
"""Showers of each sample that :func:`prdc` looks at; its time grows with their square."""

CELL_SHOWERS = 2000
"""Showers of each sample that :func:`prdc_cells` looks at."""

EMPTY_CELL = 0.1
"""What :func:`log_cells` takes a cell without energy for (MeV)."""

PARTS = 5
BLOCK = 256
KEYS = ("precision", "recall", "density", "coverage")

Table = Any
"""Points: a float64 array (n, d), or a scipy CSR matrix of that shape."""


def _lengths(points: Table) -> Floats:
    squares = points.multiply(points) if hasattr(points, "multiply") else points**2
    return np.asarray(squares.sum(axis=1), dtype=np.float64).ravel()


def _squared(block: Table, points: Table, lengths: Floats) -> NDArray[Any]:
    """Squared distances of a block to all points: shape (block, n)."""
    product = (points @ block.toarray().T).T if hasattr(block, "toarray") else block @ points.T
    product *= -2.0
    product += lengths[None, :].astype(product.dtype)
    product += _lengths(block)[:, None].astype(product.dtype)
    return np.asarray(product)


def _radii(points: Table, neighbours: int) -> NDArray[Any]:
    """Squared distance of every point to its k-th nearest other point."""
    lengths = _lengths(points)

    def block(start: int) -> NDArray[Any]:
        squared = _squared(points[start : start + BLOCK], points, lengths)
        squared.partition(neighbours, axis=1)  # the nearest is the point itself
        return squared[:, neighbours].copy()

    return np.concatenate(each(block, range(0, points.shape[0], BLOCK)))


def _measure(reference: Table, generated: Table, neighbours: int) -> Floats:
    """The four numbers, in the order of :data:`KEYS`."""
    n, m = reference.shape[0], generated.shape[0]
    around_reference, around_generated = (_radii(p, neighbours) for p in (reference, generated))
    lengths = _lengths(generated)

    def block(start: int) -> tuple[NDArray[np.int64], int, int]:
        rows = slice(start, start + BLOCK)
        squared = _squared(reference[rows], generated, lengths)
        inside = squared < around_reference[rows, None]
        recalled = np.count_nonzero((squared < around_generated[None, :]).any(axis=1))
        covered = np.count_nonzero(inside.any(axis=1))
        return inside.sum(axis=0), int(recalled), int(covered)

    found = each(block, range(0, n, BLOCK))
    counts = np.sum([part[0] for part in found], axis=0)
    recalled, covered = (sum(part[which] for part in found) for which in (1, 2))
    return np.array(
        [np.count_nonzero(counts) / m, recalled / n, counts.sum() / (neighbours * m), covered / n]
    )


def expected_coverage(n: int, m: int, neighbours: int = NEIGHBOURS) -> float:
    """Coverage of n reference points by m points of the same distribution, on average.

    1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k)); for n = m about 1 - 2^-k: 0.969 for
    k = 5. Source: Naeem et al., lemma 2.
    """
    ratio = lgamma(n) - lgamma(n - neighbours) - lgamma(n + m) + lgamma(n + m - neighbours)
    return 1.0 - exp(ratio)


def _prdc(reference: Table, generated: Table, neighbours: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n = min(reference.shape[0], generated.shape[0], MAX_SHOWERS)
    first, second = (table[choose(table.shape[0], n, rng)] for table in (reference, generated))
    result: dict[str, Any] = {"showers": n, "neighbours": neighbours, "coverage_expected": None}
    result |= dict.fromkeys([*KEYS, *(f"{key}_error" for key in KEYS)])
    if n <= neighbours:
        return result
    result["coverage_expected"] = expected_coverage(n, n, neighbours)
    for key, value in zip(KEYS, _measure(first, second, neighbours), strict=True):
        result[key] = float(value)
    if n // PARTS <= neighbours:
        return result
    rows = [parts(n, PARTS, rng) for _ in range(2)]
    single = [_measure(first[r], second[g], neighbours) for r, g in zip(*rows, strict=True)]
    for key, spread in zip(KEYS, np.std(single, axis=0, ddof=1), strict=True):
        result[f"{key}_error"] = float(spread / np.sqrt(PARTS))
    return result


def prdc(
    reference: ArrayLike, generated: ArrayLike, *, neighbours: int = NEIGHBOURS, seed: int = 0
) -> dict[str, Any]:
    """Precision, recall, density and coverage of two feature arrays, Euclidean distances.

    The ball of a point reaches to its k-th nearest other point of its own sample. ``precision``:
    share of generated points in the ball of any reference point; ``recall``: share of reference
    points in the ball of any generated point; ``density``: number of reference balls that a
    generated point lies in, mean over k (can exceed 1); ``coverage``: share of reference balls
    that hold a generated point. For equal distributions density is 1 and coverage
    ``coverage_expected``, on average; precision and recall depend on distribution and sample size:
    compare them with a floor of as many showers.

    As many showers of each sample are used, at most 10,000 (a seeded choice). Errors: the standard
    deviation of the figure over five disjoint parts of the samples, over sqrt(5). A part has fewer
    showers, hence wider balls; the error is an estimate.

    Args:
        reference: shape (n, d). Features should have like scales: see :func:`prdc_high_level`.
        generated: shape (m, d).
        neighbours: k.
        seed: chooses showers and parts.

    Returns:
        The four numbers, each also with ``_error``; ``coverage_expected``, ``showers`` a side,
        ``neighbours``. None where there are not more than k showers (for the errors: in a part).

    Source: M. F. Naeem et al., Reliable fidelity and diversity metrics for generative models,
    ICML 2020; CaloChallenge (k = 5).
    """
    first, second = pair(reference, generated)
    centre = first.mean(axis=0) if len(first) else 0.0  # small numbers lose less to rounding
    return _prdc(first - centre, second - centre, neighbours, seed)


def prdc_high_level(
    reference: Summary, generated: Summary, *, neighbours: int = NEIGHBOURS, seed: int = 0
) -> dict[str, Any]:
    """:func:`prdc` of the high-level features, standardised with the reference's mean and sigma."""
    first, second = high_level_features(reference), high_level_features(generated)
    return prdc(*standardise(first, second), neighbours=neighbours, seed=seed)


def log_cells(showers: Showers) -> Table:
    """log10 of the cell energies, cells without energy taken as 0.1 MeV: a CSR matrix (n, cells).

    The CaloChallenge describes its input as "log10 voxels, zeros -> 0.1". Read here: a voxel of
    energy 0 counts as 0.1 MeV, so that it lies at log10(0.1) = -1 between the voxels above and
    below. All values are shifted by +1: distances stay the same, and the empty cells, 95 % of
    lcd-ecal-25, become zeros that need no storage.
    """
    from scipy.sparse import csr_matrix

    values = np.log10(showers.energy / EMPTY_CELL).astype(np.float32)
    shape = (len(showers), showers.calorimeter.n_cells)
    return csr_matrix(
        (values, showers.cell.astype(np.int64), showers.offset.astype(np.int64)), shape
    )


def prdc_cells(
    reference: Showers, generated: Showers, *, neighbours: int = NEIGHBOURS, seed: int = 0
) -> dict[str, Any]:
    """:func:`prdc` of :func:`log_cells`, for at most 2000 showers of each sample.

    Distances in single precision. Empty showers take part.
    """
    rng = np.random.default_rng(seed)
    tables = [
        log_cells(sample[np.sort(choose(len(sample), CELL_SHOWERS, rng))])
        for sample in (reference, generated)
    ]
    return _prdc(tables[0], tables[1], neighbours, seed)
