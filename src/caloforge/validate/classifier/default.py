"""The classifier tests that every validation runs: minutes on two cores, no GPU."""

from __future__ import annotations

import numpy as np

from caloforge.showers import Showers
from caloforge.validate.classifier.area import Figures, auc
from caloforge.validate.classifier.features import high_level_features
from caloforge.validate.classifier.networks import score_joined, score_network
from caloforge.validate.classifier.trees import score_trees
from caloforge.validate.classifier.zones import low_level_inputs
from caloforge.validate.summary import Summary

MAX_LOW = 10_000
"""Whole showers of a sample that the low-level tests use at most."""


def _limit(showers: Showers, seed: int) -> Showers:
    if len(showers) <= MAX_LOW:
        return showers
    rows = np.sort(np.random.default_rng(seed).permutation(len(showers))[:MAX_LOW])
    return showers[rows]


def classifier_tests(
    reference: Summary, generated: Summary, *, seeds: int = 5, seed: int = 0
) -> dict[str, Figures]:
    """The four classifier tests: see :func:`auc` for the numbers of each.

    ``high``: network on :func:`high_level_features`; ``high_trees``: boosted trees on the same;
    ``low``: two networks on :func:`low_level_inputs`; ``low_normed``: the same with energies over
    those of the layers.
    """
    high = high_level_features(reference), high_level_features(generated)
    result = {
        "high": auc(*high, score_network, seeds=seeds, seed=seed),
        "high_trees": auc(*high, score_trees, seeds=seeds, seed=seed),
    }
    showers = _limit(reference.kept, seed), _limit(generated.kept, seed)
    for name, normed in (("low", False), ("low_normed", True)):
        inputs = low_level_inputs(*showers, normed=normed)
        result[name] = auc(
            inputs.reference,
            inputs.generated,
            score_joined(inputs.cells),
            seeds=seeds,
            seed=seed,
        )
    return result
