"""Many regression trees as arrays: no pickle, and no training library to run them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from caloforge.errors import ModelError

Floats = NDArray[np.float64]
AGREEMENT = 1e-9


class Forest(nn.Module):
    """Sums of trees: ``outputs[column of the tree] += value of the leaf``, from ``baseline`` on.

    A node sends a row to ``left`` where ``row[feature] <= threshold``, else to ``right``; a leaf
    has left = -1. All trees lie in the same arrays, children behind their parents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feature: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.threshold: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.float64))
        self.left: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.right: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.value: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.float64))
        self.root: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.column: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.baseline: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.float64))

    def take(self, fitted: Any, rows: Floats, raw: Floats) -> None:
        """The trees of a fitted scikit-learn HistGradientBoosting estimator.

        They are not public there, so the sums for ``rows`` are held against ``raw`` (n, outputs),
        what the estimator itself gives.

        Raises:
            ModelError: the trees are not where they used to be, or give something else.
        """
        try:
            stages = fitted._predictors
            trees = [(k, tree.nodes) for stage in stages for k, tree in enumerate(stage)]
            baseline = np.asarray(fitted._baseline_prediction, dtype=np.float64).ravel()
            self._store(trees, baseline)
            agree = np.allclose(self.sums(rows), raw, rtol=AGREEMENT, atol=AGREEMENT)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise ModelError(f"{_VERSION} ({error})") from error
        if not agree:
            raise ModelError(f"{_VERSION} (other sums)")

    def _store(self, trees: list[tuple[int, Any]], baseline: Floats) -> None:
        nodes = [tree for _, tree in trees]
        root = np.cumsum([0, *map(len, nodes)])
        leaf = np.concatenate([tree["is_leaf"] for tree in nodes]).astype(bool)
        shift = np.repeat(root[:-1], np.diff(root))

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([tree[name] for tree in nodes])

        def child(name: str) -> NDArray[np.int64]:
            return np.where(leaf, -1, column(name).astype(np.int64) + shift)

        self.feature = torch.from_numpy(np.where(leaf, 0, column("feature_idx")).astype(np.int64))
        self.threshold = torch.from_numpy(np.where(leaf, 0.0, column("num_threshold")))
        self.left = torch.from_numpy(child("left"))
        self.right = torch.from_numpy(child("right"))
        self.value = torch.from_numpy(np.where(leaf, column("value"), 0.0))
        self.root = torch.from_numpy(root[:-1])
        self.column = torch.tensor([k for k, _ in trees], dtype=torch.int64)
        self.baseline = torch.from_numpy(baseline)

    def check(self, columns: int) -> None:
        """Refuse arrays that would lead out of themselves, before compiled code follows them.

        Raises:
            ModelError: they do, or there are no trees.
        """
        n, place = len(self.feature), torch.arange(len(self.feature))
        inner = self.left >= 0
        lengths = {len(a) for a in (self.threshold, self.left, self.right, self.value)}
        good = (
            lengths == {n}
            and len(self.column) == len(self.root) > 0
            and _within(self.feature, columns)
            and _within(self.root, n)
            and _within(self.column, len(self.baseline))
            and bool(((self.left > place) & (self.right > place))[inner].all())
            and _within(self.left[inner], n)
            and _within(self.right[inner], n)
        )
        if not good:
            raise ModelError("the trees are damaged or not trained; copy or train the model again")

    def sums(self, rows: Floats) -> Floats:
        """The sums (n, outputs) for ``rows`` (n, features).

        Raises:
            ModelError: the trees do not fit the features, or are damaged.
        """
        from caloforge.models.predictors.trees.kernels import add_leaves

        self.check(rows.shape[1])
        out = np.tile(self.baseline.numpy(), (len(rows), 1))
        add_leaves(
            rows,
            self.feature.numpy(),
            self.threshold.numpy(),
            self.left.numpy(),
            self.right.numpy(),
            self.value.numpy(),
            self.root.numpy(),
            self.column.numpy(),
            out,
        )
        return out


_VERSION = (
    "this version of scikit-learn keeps its boosted trees in another way; install the version in "
    "constraints.txt"
)


def _within(numbers: torch.Tensor, stop: int) -> bool:
    return bool(((numbers >= 0) & (numbers < stop)).all())
