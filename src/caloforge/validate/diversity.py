"""Do the generated showers differ from each other as much as real ones do?"""

from __future__ import annotations

import numpy as np

from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.distance import hellinger
from caloforge.validate.response import energy_bin, energy_edges

BINS = 20
PER_BIN = 64


def mean_pairwise_distance(showers: Showers) -> float:
    """Mean distance (Hellinger, 0..1) over the pairs of a sample of at least two showers."""
    n = len(showers)
    return float(hellinger(showers, showers)[np.triu_indices(n, k=1)].mean())


def diversity(
    reference: Showers, generated: Showers, *, seed: int = 0
) -> dict[str, float | int | None]:
    """Spread of the generated showers over the spread of the reference showers.

    Showers of nearly the same incident energy are compared: 20 bins with equal numbers of
    reference showers (one per energy where at most 20 occur), at most 64 showers a bin, those
    with hits. ``ratio`` = sum over the bins of the mean pairwise distance of the generated showers
    over the same sum for the reference; ``bins`` used: those with two showers or more of both.
    Below 1 the showers are too much alike (1: as diverse). No unit.

    ``ratio_error``: of a ratio of sums over B bins, sqrt(B / (B - 1) sum (g - ratio r)^2) / sum r;
    None with fewer than two bins. Source: W. G. Cochran, Sampling Techniques (1977), chapter 6.
    """
    rng = np.random.default_rng(seed)
    reference = reference[reference.hits_per_shower > 0]
    generated = generated[generated.hits_per_shower > 0]
    spread: list[list[float]] = []
    if len(reference):
        edges = energy_edges(reference.incident.energy, BINS)
        where = [energy_bin(s.incident.energy, edges) for s in (reference, generated)]
        for k in range(len(edges) - 1):
            rows = [rng.permutation(np.flatnonzero(bins == k))[:PER_BIN] for bins in where]
            if min(len(row) for row in rows) < 2:
                continue
            spread.append(
                [
                    mean_pairwise_distance(sample[np.sort(row)])
                    for sample, row in zip((reference, generated), rows, strict=True)
                ]
            )
    return _ratio(np.array(spread).reshape(-1, 2))


def _ratio(spread: Floats) -> dict[str, float | int | None]:
    """``spread``: (bins, 2), of the reference and of the generated showers."""
    bins, (ref, gen) = len(spread), spread.sum(axis=0)
    if ref <= 1e-6:
        return {"ratio": None, "ratio_error": None, "bins": bins}
    ratio, error = float(gen / ref), None
    if bins > 1:
        residual = spread[:, 1] - ratio * spread[:, 0]
        error = float(np.sqrt(bins / (bins - 1) * (residual**2).sum()) / ref)
    return {"ratio": ratio, "ratio_error": error, "bins": bins}
