"""Classifier tests: can a classifier tell the two samples apart? AUC 0.5: it cannot.

scikit-learn is imported inside the functions, so that importing this module stays cheap.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers
from caloforge.validate.calochallenge.data_sets import calochallenge_data_set
from caloforge.validate.calochallenge.features import calochallenge_features
from caloforge.validate.observables import Floats, Observables, measuring_layers
from caloforge.validate.summary import Summary

MIN_SHOWERS = 10
MAX_BYTES = 1 << 29
"""Memory of the dense cells of the low-level test; fewer showers are used where it is too small."""

MAX_WORKERS = 4
TEST_SHARE = 0.2
HIDDEN = (256, 256)

Features = NDArray[Any]
Score = Callable[[Features, NDArray[np.int64], Features, int], Floats]


def high_level_features(sample: Summary) -> Floats:
    """The CaloChallenge high-level vector, for any calorimeter; shape (n, features).

    log10 Einc, log10(E_layer + 1e-8), centres / 100 and widths / 100 (x, y, r in the layers that
    measure them), log10(Etot + 1e-8), sparsity per layer. Energies in MeV, lengths in mm. In the
    geometries of the CaloChallenge the columns have the official order, see
    :func:`~caloforge.validate.calochallenge.features.calochallenge_features`.
    """
    table: Observables = sample.observables
    if calochallenge_data_set(sample.calorimeter) is not None:
        return calochallenge_features(table, sample.calorimeter)
    parts = [np.log10(table.energy)[:, None], np.log10(table.layer_energy + 1e-8)]
    for axis in ("x", "y", "r"):
        usable = measuring_layers(sample.calorimeter, axis)
        for name in ("centre", "width"):
            parts.append(getattr(table, f"{name}_{axis}")[:, usable] / 100)
    parts += [np.log10(table.total + 1e-8)[:, None], table.sparsity]
    return np.concatenate(parts, axis=1)


def low_level_features(reference: Showers, generated: Showers) -> tuple[Features, Features]:
    """[log10 Einc, cell energies / Einc], float32, for two samples.

    The cells are divided by one number, the root mean square of the reference's hits over Einc.
    Cells without a hit in either sample are left out: they carry nothing.
    """
    used = np.unique(np.concatenate([reference.cell, generated.cell]))
    relative = reference.energy / reference.incident.energy[reference.hit_shower]
    scale = float(np.sqrt(np.mean(relative**2))) if len(relative) else 1.0
    result = []
    for sample in (reference, generated):
        energy = sample.incident.energy
        table = np.zeros((len(sample), 1 + len(used)), dtype=np.float32)
        table[:, 0] = np.log10(energy / 1e4)
        column = 1 + np.searchsorted(used, sample.cell)
        table[sample.hit_shower, column] = sample.energy / energy[sample.hit_shower] / scale
        result.append(table)
    return result[0], result[1]


def _network(epochs: int, patience: int, batch: int, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        HIDDEN,
        batch_size=batch,
        max_iter=epochs,
        n_iter_no_change=patience,
        early_stopping=True,
        validation_fraction=TEST_SHARE / (1 - TEST_SHARE),
        random_state=seed,
    )


def score_network(x: Features, y: NDArray[np.int64], test: Features, seed: int) -> Floats:
    """Probability of 'generated' from a network on standardised inputs."""
    mean, sigma = x.mean(axis=0), x.std(axis=0)
    sigma = np.where(sigma > 1e-9, sigma, 1.0)
    model = _network(100, 10, min(128, len(x) // 2), seed)
    model.fit((x - mean) / sigma, y)
    return np.asarray(model.predict_proba((test - mean) / sigma)[:, 1])


def score_cells(x: Features, y: NDArray[np.int64], test: Features, seed: int) -> Floats:
    """Probability of 'generated' from a network on the cells, inputs as they are."""
    model = _network(12, 4, min(256, len(x) // 2), seed)
    model.fit(x, y)
    return np.asarray(model.predict_proba(test)[:, 1])


def score_trees(x: Features, y: NDArray[np.int64], test: Features, seed: int) -> Floats:
    """Probability of 'generated' from gradient-boosted trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=100,
        max_leaf_nodes=15,
        min_samples_leaf=min(20, max(2, len(x) // 10)),
        early_stopping=True,
        validation_fraction=TEST_SHARE / (1 - TEST_SHARE),
        random_state=seed,
    )
    model.fit(x, y)
    return np.asarray(model.predict_proba(test)[:, 1])


def _workers() -> int:
    return max(1, min(MAX_WORKERS, os.cpu_count() or 1))


def auc(
    reference: Features, generated: Features, score: Score, *, seeds: int = 5, seed: int = 0
) -> dict[str, float | int | None]:
    """Area under the ROC curve of a classifier, on showers it has not seen.

    Equal numbers of both samples (a seeded choice), split 60/20/20 into training, early stopping
    and test, stratified. Repeated with ``seeds`` splits and starts: ``mean`` and ``std`` of the
    AUC as measured (below 0.5 is possible by chance), ``showers`` a side and ``seeds``.

    Source: CaloChallenge classifier test; ``docs/metrics.md`` lists the differences.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split
    from threadpoolctl import threadpool_limits

    n = min(len(reference), len(generated))
    if n < MIN_SHOWERS:
        return {"mean": None, "std": None, "showers": n, "seeds": 0}
    rng = np.random.default_rng(seed)
    x = np.concatenate(
        [sample[rng.permutation(len(sample))[:n]] for sample in (reference, generated)]
    )
    y = np.repeat(np.array([0, 1], dtype=np.int64), n)

    def once(start: int) -> float:
        train, test = train_test_split(
            np.arange(2 * n), test_size=TEST_SHARE, stratify=y, random_state=start
        )
        with threadpool_limits(1):
            probability = score(x[train], y[train], x[test], start)
        return float(roc_auc_score(y[test], probability))

    # One thread per classifier and several classifiers at a time: small matrices gain nothing
    # from more threads, and lose much where other programs share the cores.
    with warnings.catch_warnings(), threadpool_limits(1), ThreadPoolExecutor(_workers()) as pool:
        warnings.simplefilter("ignore")  # "maximum iterations reached" is how training ends
        values = list(pool.map(once, range(seed, seed + seeds)))
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if seeds > 1 else None,
        "showers": n,
        "seeds": seeds,
    }


def _limit(showers: Showers, n_cells: int, seed: int) -> Showers:
    most = max(MIN_SHOWERS, MAX_BYTES // (8 * n_cells))
    if len(showers) <= most:
        return showers
    rows = np.sort(np.random.default_rng(seed).permutation(len(showers))[:most])
    return showers[rows]


def classifier_tests(
    reference: Summary, generated: Summary, *, seeds: int = 5, seed: int = 0
) -> dict[str, dict[str, float | int | None]]:
    """The three classifier tests: see :func:`auc` for the numbers of each.

    ``high``: network on :func:`high_level_features`; ``high_trees``: boosted trees on the same;
    ``low``: network on :func:`low_level_features`.
    """
    high = high_level_features(reference), high_level_features(generated)
    n_cells = reference.calorimeter.n_cells
    low = low_level_features(
        _limit(reference.kept, n_cells, seed), _limit(generated.kept, n_cells, seed)
    )
    return {
        "high": auc(*high, score_network, seeds=seeds, seed=seed),
        "high_trees": auc(*high, score_trees, seeds=seeds, seed=seed),
        "low": auc(*low, score_cells, seeds=seeds, seed=seed),
    }
