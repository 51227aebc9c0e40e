"""CaloGAN's diagnostic: does a classifier of particle types carry over between the samples?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.showers import Showers
from caloforge.validate.classifier.area import MIN_SHOWERS, Figures, three_parts, workers
from caloforge.validate.classifier.features import high_level_features
from caloforge.validate.classifier.labelled import Features, Labelled, Score
from caloforge.validate.classifier.trees import score_trees
from caloforge.validate.summary import summarise

MAX_SHOWERS = 10_000
"""Showers of one particle type and sample that are used at most (a seeded choice)."""

SAMPLES = ("reference", "generated")

Codes = NDArray[Any]


def _by_type(
    features: Features, pdg: Codes, types: list[int], n: int, rng: np.random.Generator
) -> list[Features]:
    """n rows of every particle type, in random order."""
    return [features[rng.permutation(np.flatnonzero(pdg == code))[:n]] for code in types]


def _judge(score: Score, test: Labelled) -> tuple[float, float]:
    """AUC and accuracy (threshold 1/2) of a score on showers with equal numbers of both types."""
    from sklearn.metrics import roc_auc_score

    probability = score(test.x)
    right = (probability > 0.5) == (test.y == 1)
    return float(roc_auc_score(test.y, probability)), float(right.mean())


def _once(samples: dict[str, list[Features]], seed: int) -> Floats:
    """AUC and accuracy of the four combinations, means over the pairs of types: (2, 2, 2)."""
    from threadpoolctl import threadpool_limits

    pairs = list(combinations(range(len(samples["reference"])), 2))
    result = np.zeros((len(pairs), 2, 2, 2))
    for k, (a, b) in enumerate(pairs):
        parts = {name: three_parts(x[a], x[b], seed) for name, x in samples.items()}
        for i, trained in enumerate(SAMPLES):
            with threadpool_limits(1):
                score = score_trees(parts[trained][0], parts[trained][1], seed)
                for j, tested in enumerate(SAMPLES):
                    result[k, i, j] = _judge(score, parts[tested][2])
    return np.asarray(result.mean(axis=0))


def particle_transfer(
    reference: Showers, generated: Showers, *, seeds: int = 5, seed: int = 0
) -> dict[str, Any] | None:
    """Train a particle classifier on one sample, test it on both: four combinations.

    Boosted trees (:func:`score_trees`) on :func:`high_level_features` tell the particle types of
    ``pdg`` apart. Trained on reference showers, they are tested on other reference showers and on
    generated ones; trained on generated showers, on generated and reference ones. A generator
    that gives its showers the features of their particle has four equal figures. Training on
    generated and testing on reference showers falls where it makes the types too different or
    misses part of their spread; the opposite test falls where its showers lie outside the true
    ones. Every type, sample and test has the same number of showers, 60/20/20 for training, early
    stopping and test. With more than two types: means over all pairs of types (one against
    one) of the AUC and of the accuracy at probability 1/2.

    Args:
        reference: full simulation, with a ``pdg`` column.
        generated: the showers to judge.
        seeds: number of splits and starts.
        seed: fixes every choice.

    Returns:
        ``auc`` and ``accuracy``, each with the keys ``reference_reference``,
        ``reference_generated``, ``generated_generated`` and ``generated_reference`` (trained on,
        tested on) of ``mean`` and ``std`` over the seeds (None for one seed); ``types`` (PDG codes
        used), ``showers`` per type and sample, ``seeds``. None if the samples do not share two
        types with at least 10 showers each in both samples: one type cannot be told from itself.

    Source: M. Paganini, L. de Oliveira, B. Nachman, CaloGAN (arXiv:1712.10321), particle
    identification trained and tested on Geant4 and on generated showers.
    """
    samples = (reference, generated)
    if not all("pdg" in sample.incident and len(sample) for sample in samples):
        return None
    codes = [sample.incident["pdg"] for sample in samples]
    if len(set(map(int, codes[0])) & set(map(int, codes[1]))) < 2:
        return None
    first, second = (high_level_features(summarise(sample)[0]) for sample in samples)
    return feature_transfer(first, second, codes[0], codes[1], seeds=seeds, seed=seed)


def feature_transfer(
    reference: Features,
    generated: Features,
    reference_pdg: Codes,
    generated_pdg: Codes,
    *,
    seeds: int = 5,
    seed: int = 0,
) -> dict[str, Any] | None:
    """:func:`particle_transfer` of features (n, d) and (m, d) with PDG codes (n,) and (m,)."""
    codes = sorted(set(map(int, reference_pdg)) & set(map(int, generated_pdg)))
    counts = {
        code: min(int(np.sum(reference_pdg == code)), int(np.sum(generated_pdg == code)))
        for code in codes
    }
    types = [code for code in codes if counts[code] >= MIN_SHOWERS]
    if len(types) < 2:
        return None
    n = min(MAX_SHOWERS, *(counts[code] for code in types))
    rng = np.random.default_rng([seed, 2])
    samples = {
        "reference": _by_type(reference, reference_pdg, types, n, rng),
        "generated": _by_type(generated, generated_pdg, types, n, rng),
    }
    with ThreadPoolExecutor(workers()) as pool:
        values = np.array(list(pool.map(lambda k: _once(samples, k), range(seed, seed + seeds))))
    result: dict[str, Any] = {"types": types, "showers": n, "seeds": seeds}
    for number, name in enumerate(("auc", "accuracy")):
        result[name] = {
            f"{a}_{b}": _spread(values[:, i, j, number])
            for i, a in enumerate(SAMPLES)
            for j, b in enumerate(SAMPLES)
        }
    return result


def _spread(values: Floats) -> Figures:
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else None,
    }
