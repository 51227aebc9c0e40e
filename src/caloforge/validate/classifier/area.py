"""Area under the ROC curve of a classifier, over several seeds."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from caloforge.validate.classifier.calibration import calibrated, divergence
from caloforge.validate.classifier.labelled import Features, Fit, Labelled

MIN_SHOWERS = 10
MAX_WORKERS = 4
SHARES = (0.6, 0.2)
"""Shares of the showers for training and early stopping; the rest is the test."""

Figures = dict[str, float | int | None]


def workers() -> int:
    """Classifiers trained at a time: one per core, at most 4."""
    return max(1, min(MAX_WORKERS, os.cpu_count() or 1))


def three_parts(reference: Features, generated: Features, seed: int) -> list[Labelled]:
    """Training, early-stopping and test showers, 60/20/20, both samples shuffled with the seed.

    Both must have the same number n of rows. The parts hold round down(0.6 n), round down(0.2 n)
    and the other rows of either sample, reference first (the CaloChallenge's split).
    """
    n = len(reference)
    rng = np.random.default_rng(seed)
    cuts = np.cumsum([max(1, int(share * n)) for share in SHARES])
    rows = [np.split(rng.permutation(n), cuts) for _ in range(2)]
    parts = []
    for first, second in zip(*rows, strict=True):
        x = np.concatenate([reference[first], generated[second]])
        y = np.repeat(np.array([0, 1], dtype=np.int64), [len(first), len(second)])
        parts.append(Labelled(x, y))
    return parts


def chance_error(showers: int) -> float:
    """Standard deviation of the AUC of a guessing classifier on ``showers`` of either sample.

    sqrt((2 n + 1) / (12 n^2)). Source: H. B. Mann, D. R. Whitney, Ann. Math. Statist. 18 (1947) 50.
    """
    n = max(showers, 1)
    return float(np.sqrt((2 * n + 1) / (12 * n * n)))


def auc(
    reference: Features, generated: Features, score: Fit, *, seeds: int = 5, seed: int = 0
) -> Figures:
    """Area under the ROC curve of a classifier, on showers it has not seen.

    Equal numbers of both samples (a seeded choice), split 60/20/20 into training, early stopping
    and test. Repeated with ``seeds`` splits and starts. ``mean`` and ``std`` of the AUC as
    measured (below 0.5 is possible by chance); ``error``: the larger of ``std`` and of what chance
    makes on so many test showers (:func:`chance_error`); ``calibrated``: mean AUC after isotonic
    calibration on the early-stopping showers, as the CaloChallenge reports it (ties make it differ
    a little from ``mean``); ``jsd``: mean Jensen-Shannon divergence (bits) of the calibrated
    probabilities, see :func:`divergence`; ``showers`` a side; ``seeds``. None with fewer than 10
    showers a side.

    Source: CaloChallenge classifier test; ``docs/metrics.md`` lists the differences.
    """
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    n = min(len(reference), len(generated))
    if n < MIN_SHOWERS:
        empty: Figures = dict.fromkeys(("mean", "std", "error", "calibrated", "jsd"))
        return empty | {"showers": n, "seeds": 0}
    rng = np.random.default_rng(seed)
    ref, gen = (sample[rng.permutation(len(sample))[:n]] for sample in (reference, generated))

    def once(start: int) -> tuple[float, float, float]:
        train, stop, test = three_parts(ref, gen, start)
        with threadpool_limits(1):
            probability = score(train, stop, start)
            raw = probability(test.x)
            fair = calibrated(probability(stop.x), stop.y, raw)
        areas = [float(roc_auc_score(test.y, p)) for p in (raw, fair)]
        return areas[0], areas[1], divergence(fair, test.y)

    # One thread per classifier and several classifiers at a time: small matrices gain nothing
    # from more threads, and lose much where other programs share the cores.
    with threadpool_limits(1), ThreadPoolExecutor(workers()) as pool:
        values = np.array(list(pool.map(once, range(seed, seed + seeds))))
    mean = values.mean(axis=0)
    std = float(np.std(values[:, 0], ddof=1)) if seeds > 1 else None
    tested = n - sum(max(1, int(share * n)) for share in SHARES)
    return {
        "mean": float(mean[0]),
        "std": std,
        "error": max(std or 0.0, chance_error(tested)),
        "calibrated": float(mean[1]),
        "jsd": float(mean[2]),
        "showers": n,
        "seeds": seeds,
    }
