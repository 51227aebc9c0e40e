"""The fast networks: scikit-learn's perceptron, stopped at the epoch with the best AUC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.validate.classifier.labelled import Features, Fit, Labelled, Score

HIDDEN = (256, 256)
LEARNING_RATE = 1e-3
LEAST_GAIN = 1e-4
"""The AUC on the early-stopping showers must rise by more, or an epoch counts as idle."""


@dataclass(frozen=True)
class Training:
    """How long a network learns: most epochs, epochs without gain before it stops, batch size."""

    epochs: int
    patience: int
    batch: int
    hidden: tuple[int, ...] = HIDDEN


SHAPES = Training(epochs=100, patience=10, batch=128)
CELLS = Training(epochs=20, patience=4, batch=256)
ZONES = Training(epochs=30, patience=5, batch=256)
EDGE = 1e-6
"""Probabilities are kept within [EDGE, 1 - EDGE] where their logits are joined."""


def fit_network(train: Labelled, stop: Labelled, setting: Training, seed: int) -> Any:
    """An MLPClassifier with the weights of the epoch that has the largest AUC on ``stop``.

    ReLU, Adam 1e-3, L2 penalty 1e-4. One call of ``partial_fit`` is one epoch. The AUC decides, not
    the loss: scores that are too sure cost loss, not order, and are calibrated afterwards.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        setting.hidden,
        batch_size=max(1, min(setting.batch, len(train.y) // 2)),
        learning_rate_init=LEARNING_RATE,
        random_state=seed,
    )
    best, idle = -1.0, 0
    weights: list[list[NDArray[Any]]] = []
    for _ in range(setting.epochs):
        model.partial_fit(train.x, train.y, classes=(0, 1))
        area = float(roc_auc_score(stop.y, model.predict_proba(stop.x)[:, 1]))
        idle = 0 if area > best + LEAST_GAIN else idle + 1
        if area > best:
            best = area
            weights = [[w.copy() for w in part] for part in (model.coefs_, model.intercepts_)]
        if idle >= setting.patience:
            break
    model.coefs_, model.intercepts_ = weights
    return model


def score_network(train: Labelled, stop: Labelled, seed: int) -> Score:
    """Probability of 'generated' from a network on standardised inputs."""
    mean, sigma = train.x.mean(axis=0), train.x.std(axis=0)
    sigma = np.where(sigma > 1e-9, sigma, 1.0)

    def scaled(x: Features) -> Features:
        return np.asarray((x - mean) / sigma)

    first, second = (Labelled(scaled(part.x), part.y) for part in (train, stop))
    model = fit_network(first, second, SHAPES, seed)

    def score(x: Features) -> Floats:
        return np.asarray(model.predict_proba(scaled(x))[:, 1], dtype=np.float64)

    return score


def score_cells(train: Labelled, stop: Labelled, seed: int) -> Score:
    """Probability of 'generated' from a network on the cells, inputs as they are."""
    model = fit_network(train, stop, CELLS, seed)

    def score(x: Features) -> Floats:
        return np.asarray(model.predict_proba(x)[:, 1], dtype=np.float64)

    return score


def score_joined(cells: int) -> Fit:
    """Two networks, one on the first ``cells`` columns and one on the others, and their sum.

    Single cells and sums over many cells in one network hide each other: the noise of either is
    learned by heart before the other's signal. A logistic regression of the two networks' logits on
    the early-stopping showers weighs them.
    """

    def fit(train: Labelled, stop: Labelled, seed: int) -> Score:
        from sklearn.linear_model import LogisticRegression

        blocks = (slice(0, cells), slice(cells, None))
        models = [
            fit_network(
                Labelled(train.x[:, block], train.y),
                Labelled(stop.x[:, block], stop.y),
                setting,
                seed,
            )
            for block, setting in zip(blocks, (CELLS, ZONES), strict=True)
        ]

        def logits(x: Features) -> Floats:
            parts = [
                model.predict_proba(x[:, block])[:, 1]
                for model, block in zip(models, blocks, strict=True)
            ]
            p = np.clip(np.column_stack(parts).astype(np.float64), EDGE, 1 - EDGE)
            return np.asarray(np.log(p / (1 - p)))

        join = LogisticRegression().fit(logits(stop.x), stop.y)

        def score(x: Features) -> Floats:
            return np.asarray(join.predict_proba(logits(x))[:, 1], dtype=np.float64)

        return score

    return fit
