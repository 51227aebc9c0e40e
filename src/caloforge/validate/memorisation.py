"""Does the generator copy its training showers?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.distance import nearest

MAX_QUERIES = 2000
COPY_DISTANCE = 1e-3
COPY_QUANTILE = 1e-3


@dataclass(frozen=True)
class Neighbours:
    """Query showers, and the distance to and number of the nearest training shower of each."""

    showers: Showers
    distance: Floats
    index: NDArray[np.int64]

    def part(self, rows: NDArray[np.bool_]) -> Neighbours:
        """The chosen queries."""
        return Neighbours(self.showers[rows], self.distance[rows], self.index[rows])


def neighbours(sample: Showers, training: Showers, *, seed: int = 0) -> Neighbours:
    """Nearest training showers of at most 2000 showers (a seeded choice) that hold hits.

    ``training`` must hold no empty shower. The distance is that of
    :func:`caloforge.validate.distance.hellinger`.
    """
    filled = np.flatnonzero(sample.hits_per_shower > 0)
    rows = np.sort(np.random.default_rng(seed).permutation(filled)[:MAX_QUERIES])
    chosen = sample[rows]
    if not len(rows):
        return Neighbours(chosen, np.zeros(0), np.zeros(0, dtype=np.int64))
    return Neighbours(chosen, *nearest(chosen, training))


def data_copying(generated: Floats, reference: Floats) -> dict[str, Any]:
    """Test whether generated showers lie nearer to the training showers than real ones do.

    Args:
        generated: distance of each generated shower to its nearest training shower.
        reference: the same for reference showers, which the model has not been trained on.

    Returns:
        ``p_value``: one-sided Mann-Whitney U test, the probability that independent showers lie
        as near by chance: below 1e-3 the generated showers are nearer to the training showers
        than real ones. That is what copies do, and also showers that are too smooth.
        ``fraction_copies``: share of generated showers nearer than the 0.1 % quantile of the
        reference's distances, or than 1e-3: about 0.001 is expected by chance. Medians of both
        distances.

    Source: C. Meehan, K. Chaudhuri, S. Dasgupta, A non-parametric test to detect data-copying in
    generative models, AISTATS 2020.
    """
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(generated, reference, alternative="less")
    limit = max(COPY_DISTANCE, float(np.quantile(reference, COPY_QUANTILE)))
    return {
        "p_value": float(test.pvalue),
        "fraction_copies": float(np.mean(generated < limit)),
        "median_distance": float(np.median(generated)),
        "median_distance_reference": float(np.median(reference)),
    }


def overlaps(reference: Floats) -> bool:
    """Whether the reference itself holds training showers, which makes the test meaningless."""
    return bool(np.mean(reference < COPY_DISTANCE) > 0.05)


def memorisation(
    reference: Showers, generated: Showers, training: Showers, *, seed: int = 0
) -> dict[str, Any]:
    """:func:`data_copying` of two samples against the training showers."""
    training = training[training.hits_per_shower > 0]
    near = neighbours(generated, training, seed=seed)
    return data_copying(near.distance, neighbours(reference, training, seed=seed).distance)
