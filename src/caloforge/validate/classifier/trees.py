"""Gradient-boosted trees on the shower shapes."""

from __future__ import annotations

from itertools import islice

import numpy as np

from caloforge.observables import Floats
from caloforge.validate.classifier.labelled import Features, Labelled, Score

TREES = 100
LEAVES = 15


def score_trees(train: Labelled, stop: Labelled, seed: int) -> Score:
    """Probability of 'generated' from gradient-boosted trees.

    At most 100 trees with 15 leaves, learning rate 0.1; as many of them are used as have the
    largest AUC on ``stop``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    model = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=min(20, max(2, len(train.y) // 10)),
        early_stopping=False,
        random_state=seed,
    )
    model.fit(train.x, train.y)
    stages = model.staged_predict_proba(stop.x)
    areas = [roc_auc_score(stop.y, stage[:, 1]) for stage in stages]
    best = int(np.argmax(areas))

    def score(x: Features) -> Floats:
        stage = next(islice(model.staged_predict_proba(x), best, None))
        return np.asarray(stage[:, 1], dtype=np.float64)

    return score
