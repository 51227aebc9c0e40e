"""Mode coverage: does the generator make every kind of shower as often as the reference?"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats, Observables
from caloforge.validate.feature_space.arrays import standardise
from caloforge.validate.response import BINS, energy_bin, energy_edges

CLUSTERS = 10
"""Clusters per bin of incident energy at most: 100 in ten bins, as many as the paper uses."""

SHOWERS_PER_CLUSTER = 20
"""Reference showers that are counted, per cluster, on average: at least so many."""

MAX_SHOWERS = 50_000
MIN_EXPECTED = 5.0
"""Showers expected of each sample from which on the z test of a cluster holds."""

Z_LIMIT = 1.959963984540054
DRAWS = 1000

Counts = NDArray[np.int64]


def mode_features(table: Observables) -> Floats:
    """What showers are clustered by: Etot/Einc, hits, six moments, energy in three thirds.

    Shape (n, 11).
    """
    return np.column_stack([table.response, table.hits, table.moments, table.thirds])


def z_scores(first: Counts, second: Counts) -> NDArray[np.float64]:
    """Two-proportion z test (pooled) of every cluster: counts of shape (..., clusters).

    z = (p - q) / sqrt(P (1 - P) (1 / n + 1 / m)) with P = (a + b) / (n + m); 0 where a cluster
    expects fewer than five showers of a sample.
    """
    n, m = first.sum(axis=-1, keepdims=True), second.sum(axis=-1, keepdims=True)
    pooled = (first + second) / (n + m)
    variance = pooled * (1 - pooled) * (1 / n + 1 / m)
    good = comparable(first, second) & (variance > 0)
    difference = second / m - first / n
    return np.asarray(np.where(good, difference / np.sqrt(np.where(good, variance, 1.0)), 0.0))


def comparable(first: Counts, second: Counts) -> NDArray[np.bool_]:
    """Clusters that expect at least five showers of each sample."""
    n, m = first.sum(axis=-1, keepdims=True), second.sum(axis=-1, keepdims=True)
    return np.asarray((first + second) * np.minimum(n, m) / (n + m) >= MIN_EXPECTED)


def jensen_shannon(first: Counts, second: Counts) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of counts (..., clusters), base 2: 0 equal, 1 disjoint."""
    p = first / first.sum(axis=-1, keepdims=True)
    q = second / second.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2

    def divergence(share: NDArray[np.float64]) -> NDArray[np.float64]:
        safe = np.where(share > 0, share, 1.0)
        return np.asarray(
            np.where(share > 0, share * np.log2(safe / np.maximum(middle, 1e-300)), 0)
        )

    return np.asarray((divergence(p) + divergence(q)).sum(axis=-1) / 2)


def _occupancy(
    reference: Floats, generated: Floats, rng: np.random.Generator
) -> tuple[Counts, Counts] | None:
    """Showers per cluster of the reference's second half and of the generated sample."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    order = rng.permutation(len(reference))
    train, counted = np.array_split(order, 2)
    clusters = min(CLUSTERS, min(len(counted), len(generated)) // SHOWERS_PER_CLUSTER)
    if clusters < 2:
        return None
    fitted, scaled = standardise(reference[train], np.concatenate([reference[counted], generated]))
    model = KMeans(clusters, n_init=3, random_state=int(rng.integers(1 << 31)))
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # fewer different showers than clusters
        labels = model.fit(fitted).predict(scaled)
    first = np.bincount(labels[: len(counted)], minlength=clusters)
    second = np.bincount(labels[len(counted) :], minlength=clusters)
    return first, second


def _figures(counts: list[tuple[Counts, Counts]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Different clusters, and divergence (mean weighted with the showers), over all bins."""
    different = sum(np.sum(np.abs(z_scores(a, b)) > Z_LIMIT, axis=-1) for a, b in counts)
    weights = [float(np.max(a.sum(axis=-1))) for a, _ in counts]
    parts = [w * jensen_shannon(a, b) for w, (a, b) in zip(weights, counts, strict=True)]
    return np.asarray(different), np.asarray(np.sum(parts, axis=0) / sum(weights))


def _by_chance(
    counts: list[tuple[Counts, Counts]], rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """:func:`_figures` of 1000 draws in which every shower changes its sample at random."""
    drawn = []
    for first, second in counts:
        pooled = first + second
        some = rng.multivariate_hypergeometric(pooled, int(first.sum()), size=DRAWS)
        drawn.append((some, pooled - some))
    return _figures(drawn)


def mode_coverage(
    reference: Observables, generated: Observables, *, seed: int = 0
) -> dict[str, Any]:
    """Number of statistically different bins (NDB) and divergence of cluster occupancies.

    Within bins of incident energy (:func:`energy_edges`, at most ten with at least 400 reference
    showers each, or one per energy) half of the reference showers, standardised
    :func:`mode_features`, are cut into at most ten k-means clusters, with 20 showers or more of
    either sample on average. The *other* half of the reference and the generated showers are
    counted per cluster: clusters that fit their own sample would hold too many of it. Empty
    showers are left out; at most 50,000 showers of each sample.

    Returns:
        ``ndb``: share of clusters whose shares of the two samples differ at 5 % in a
        two-proportion z test (:func:`z_scores`); ``different`` of ``clusters`` (those that expect
        five showers of each sample); ``ndb_expected``: its mean when both samples are the same,
        about 0.05; ``ndb_p_value``: how often chance gives as many. ``jsd``: Jensen-Shannon
        divergence in base 2 (0 equal, 1 disjoint), mean over the energy bins weighted with the
        counted reference showers, with ``jsd_expected`` and ``jsd_p_value``. Expectations and p
        values from 1000 random permutations of the showers between the samples. ``missing``:
        different clusters where the generated share is under a tenth of the reference's.
        ``energy_bins`` used. None where no energy bin holds enough showers.

    Source: E. Richardson, Y. Weiss, On GANs and GMMs, NeurIPS 2018 (with the bins of incident
    energy, the split of the reference and the permutations added).
    """
    rng = np.random.default_rng(seed)
    reference, generated = (t[t.filled][:MAX_SHOWERS] for t in (reference, generated))
    keys = ("ndb", "ndb_expected", "ndb_p_value", "jsd", "jsd_expected", "jsd_p_value")
    result: dict[str, Any] = dict.fromkeys(keys)
    counts = _all_counts(reference, generated, rng) if min(len(reference), len(generated)) else []
    result |= {"different": 0, "missing": 0, "clusters": 0, "energy_bins": len(counts)}
    if not counts:
        return result
    different, divergence = _figures(counts)
    chance, chance_divergence = _by_chance(counts, rng)
    clusters = int(sum(np.count_nonzero(comparable(a, b)) for a, b in counts))
    result |= {"different": int(different), "clusters": clusters, "jsd": float(divergence)}
    result["missing"] = int(
        sum(
            np.count_nonzero((z_scores(a, b) < -Z_LIMIT) & (b / b.sum() < 0.1 * a / a.sum()))
            for a, b in counts
        )
    )
    result["jsd_expected"] = float(chance_divergence.mean())
    result["jsd_p_value"] = _share(chance_divergence >= float(divergence) - 1e-12)
    if clusters:
        result["ndb"] = int(different) / clusters
        result["ndb_expected"] = float(chance.mean()) / clusters
        result["ndb_p_value"] = _share(chance >= int(different))
    return result


def _share(as_large: NDArray[np.bool_]) -> float:
    """p value of a permutation test: the sample itself counts as one of the draws."""
    return float((1 + np.count_nonzero(as_large)) / (1 + len(as_large)))


def _all_counts(
    reference: Observables, generated: Observables, rng: np.random.Generator
) -> list[tuple[Counts, Counts]]:
    bins = int(np.clip(len(reference) // (2 * CLUSTERS * SHOWERS_PER_CLUSTER), 1, BINS))
    edges = energy_edges(reference.energy, bins)
    where = [energy_bin(table.energy, edges) for table in (reference, generated)]
    tables = mode_features(reference), mode_features(generated)
    found = []
    for k in range(len(edges) - 1):
        counts = _occupancy(tables[0][where[0] == k], tables[1][where[1] == k], rng)
        if counts is not None:
            found.append(counts)
    return found
