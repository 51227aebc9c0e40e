"""Gradient-boosted trees on shower shapes, for classes, energy and angles.

Classes: trees on the log odds. Energy: trees on E / Etot, so that the energy is linear beyond the
trained energies, too; weights (Etot / E)^2 make the squared loss that of the relative error of E.
Theta: trees on its difference to the angle of the shower's axis; phi: on phi itself.

Source: scikit-learn's histogram-based gradient boosting (after LightGBM); Triforce's baseline of
boosted trees on shower shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt, field_validator
from torch import nn

from caloforge.errors import ConfigError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.models.base import ModelConfig
from caloforge.models.predictors.base import (
    DirectPredictor,
    Floats,
    Predicted,
    PredictorConfig,
    training_numbers,
)
from caloforge.models.predictors.trees.features import USUAL, check_names, feature_table
from caloforge.models.predictors.trees.forest import Forest
from caloforge.observables import Observables, observables
from caloforge.showers import Showers

ENOUGH = 50
"""Showers of every class from which on a tenth of the sample decides how many trees are used."""


class TreesConfig(PredictorConfig):
    """Number and size of the trees, and the shower shapes that they see."""

    trees: PositiveInt = 300
    """At most so many for each class or target."""
    leaves: PositiveInt = 15
    learning_rate: PositiveFloat = 0.1
    features: tuple[str, ...] = USUAL
    """See :data:`~caloforge.models.predictors.trees.features.FEATURES`."""

    @field_validator("features")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            check_names(names)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if not names:
            raise ValueError("no features; leave the key out for the usual ones")
        return names


class Trees(DirectPredictor):
    """Boosted trees on shower shapes: the baseline of the predictors, for any calorimeter."""

    kind = "trees"
    config_class = TreesConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, TreesConfig)
        self.config: TreesConfig = config
        self.present: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        """Numbers of the classes that the training sample held."""
        names = (*(("classes",) if self.classes else ()), *self.targets)
        self.forests = nn.ModuleDict({name: Forest() for name in names})

    def preprocessing(self) -> dict[str, Any]:
        """The features."""
        return {"features": list(self.config.features)}

    def fit(self, showers: Showers) -> None:
        """Grow the trees.

        Raises:
            GeometryError: the showers belong to another calorimeter.
            ShowerError: a column is missing, a particle has no class, or all have the same one.
            ModelError: scikit-learn keeps its trees in another way.
        """
        self.calorimeter.require_same(showers.calorimeter, "the training sample")
        table, rows = self._look(showers)
        if not table.filled.any():
            raise ShowerError("the training sample holds empty showers only; nothing to learn from")
        if self.classes:
            self._fit_classes(rows, training_numbers(showers.incident["pdg"], self.classes))
        some = table.filled
        for name in self.targets:
            wanted, weight = _wanted(name, showers.incident[name], table)
            self._fit_target(name, rows[some], wanted[some], weight[some])

    def _fit_classes(self, rows: Floats, numbers: NDArray[np.int64]) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        present, counts = np.unique(numbers, return_counts=True)
        if len(present) < 2:
            raise ShowerError(
                f"the training sample holds particle {self.classes[present[0]]} alone; give "
                "showers of several, or set model.classes=[] to predict the energy alone"
            )
        model = HistGradientBoostingClassifier(**self._options(int(counts.min()), len(rows)))
        model.fit(rows, numbers)
        raw = model.decision_function(rows).reshape(len(rows), -1)
        self._forest("classes").take(model, rows, raw)
        self.present = torch.from_numpy(present)

    def _fit_target(self, name: str, rows: Floats, wanted: Floats, weight: Floats) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(**self._options(len(rows), len(rows)))
        model.fit(rows, wanted, sample_weight=weight)
        self._forest(name).take(model, rows, model.predict(rows)[:, None])

    def _options(self, fewest: int, showers: int) -> dict[str, Any]:
        return {
            "max_iter": self.config.trees,
            "max_leaf_nodes": self.config.leaves,
            "learning_rate": self.config.learning_rate,
            "min_samples_leaf": min(20, max(2, showers // 10)),
            "early_stopping": fewest >= ENOUGH,
            "random_state": 0,
        }

    def _forest(self, name: str) -> Forest:
        forest = self.forests[name]
        assert isinstance(forest, Forest)
        return forest

    def _look(self, showers: Showers) -> tuple[Observables, Floats]:
        """The observables above the threshold, and the features (n, columns)."""
        table = observables(showers.above_threshold())
        return table, feature_table(table, self.calorimeter, self.config.features)

    def predict(self, showers: Showers) -> Predicted:
        """The predictions, see :meth:`Predictor.predict`."""
        table, rows = self._look(showers)
        probability = np.zeros((len(showers), len(self.classes)))
        if self.classes:
            sums = self._forest("classes").sums(rows)
            probability[:, self.present.numpy()] = _probabilities(sums)
        targets = {}
        for name in self.targets:
            targets[name] = _decoded(name, self._forest(name).sums(rows)[:, 0], table)
        return Predicted(self.classes, probability, targets)

    def expect_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take the sizes of the saved trees."""
        for name, value in list(self.named_buffers()):
            owner, _, leaf = name.rpartition(".")
            room = torch.zeros_like(state[name]).to(value.dtype)
            setattr(self.get_submodule(owner), leaf, room)


def _probabilities(sums: Floats) -> Floats:
    """Of the classes that are present, from the sums of the trees; a single sum decides two."""
    if sums.shape[1] == 1:
        sums = np.concatenate([np.zeros_like(sums), sums], axis=1)
    odds = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _measured(name: str, table: Observables) -> Floats:
    """What the shower's axis says of an angle (rad)."""
    return np.pi / 2 - np.arctan(table.slope[:, 0]) if name == "theta" else np.zeros(len(table))


def _wanted(name: str, truth: Floats, table: Observables) -> tuple[Floats, Floats]:
    """What the trees learn, and the weights of the showers; infinite for an empty one."""
    if name == "energy":
        with np.errstate(divide="ignore"):
            return truth / table.total, (table.total / truth) ** 2
    return truth - _measured(name, table), np.ones(len(table))


def _decoded(name: str, sums: Floats, table: Observables) -> Floats:
    """A target (MeV or rad) from the sums of the trees."""
    if name == "energy":
        return np.asarray(table.total * np.maximum(sums, 0.0))
    return _measured(name, table) + sums
