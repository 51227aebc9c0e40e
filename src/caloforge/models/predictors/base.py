"""The contract of every predictor: MeV per cell in, particle and incident values out.

    Predictor
    +-- GradientPredictor    a network, trained by gradient steps
    +-- DirectPredictor      fitted in one go

A predictor knows the particles ``classes`` (PDG codes; a particle and its antiparticle are one
class) and the incident columns ``targets``. Cells below the calorimeter's threshold count as
empty, so that full and fast simulation look alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.models.base import Fittable, Model, ModelConfig, Trainable
from caloforge.showers import Showers

Floats = NDArray[np.float64]
Target = Literal["energy", "theta", "phi"]

ELECTRON, PHOTON, NEUTRAL_PION, CHARGED_PION = 11, 22, 111, 211


class PredictorConfig(ModelConfig):
    """What is predicted."""

    classes: tuple[PositiveInt, ...] = (ELECTRON, PHOTON, NEUTRAL_PION, CHARGED_PION)
    """PDG codes of the particles to tell apart, without sign; none: regression alone."""
    targets: tuple[Target, ...] = ("energy",)
    """Incident columns to predict; none: classification alone."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> PredictorConfig:
        if not self.classes and not self.targets:
            raise ValueError("neither classes nor targets: there is nothing to predict")
        for name, values in (("classes", self.classes), ("targets", self.targets)):
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names one twice")
        return self


@dataclass(frozen=True)
class Predicted:
    """The predictions for n showers.

    ``probability`` (n, K) of the ``classes``, in their order; ``targets``: (n,) per column, in MeV
    or rad.
    """

    classes: tuple[int, ...]
    probability: Floats
    targets: dict[str, Floats]

    @property
    def pdg(self) -> NDArray[np.int64]:
        """PDG code of the most probable class, shape (n,)."""
        codes = np.array(self.classes, dtype=np.int64)
        return np.asarray(codes[self.probability.argmax(axis=1)], dtype=np.int64)

    @staticmethod
    def concatenate(parts: Sequence[Predicted]) -> Predicted:
        """The predictions of consecutive parts of a sample."""
        names = parts[0].targets
        return Predicted(
            parts[0].classes,
            np.concatenate([part.probability for part in parts]),
            {name: np.concatenate([part.targets[name] for part in parts]) for name in names},
        )


def class_numbers(pdg: NDArray[Any], classes: Sequence[int]) -> NDArray[np.int64]:
    """Number of every particle's class, shape (n,); -1 for particles of no class."""
    match = np.abs(pdg)[:, None] == np.asarray(classes, dtype=np.int64)
    return np.where(match.any(axis=1), match.argmax(axis=1) if match.size else 0, -1)


def training_numbers(pdg: NDArray[Any], classes: Sequence[int]) -> NDArray[np.int64]:
    """As :func:`class_numbers`, where every particle must have a class.

    Raises:
        ShowerError: naming a particle of no class.
    """
    numbers = class_numbers(pdg, classes)
    if np.any(numbers < 0):
        other = int(pdg[np.argmin(numbers)])
        raise ShowerError(
            f"the training sample holds showers of particle {other}, the classes are "
            f"{', '.join(map(str, classes))}; leave these showers out, or set model.classes"
        )
    return numbers


class Predictor(Model):
    """Says which particle made a shower, and with which energy and angles."""

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, PredictorConfig)
        self.classes: tuple[int, ...] = config.classes
        self.targets: tuple[str, ...] = config.targets
        self.condition_columns = (*(("pdg",) if config.classes else ()), *config.targets)

    @abstractmethod
    def predict(self, showers: Showers) -> Predicted:
        """The predictions for showers of the model's calorimeter; n showers, n rows.

        Raises:
            ModelError: the model has not been trained.
        """


class GradientPredictor(Predictor, Trainable):
    """A network that predicts."""

    @abstractmethod
    def forward(self, energy: torch.Tensor) -> torch.Tensor:
        """Predictions.

        Args:
            energy: (B, n_cells) float32 MeV.

        Returns:
            (B, K + T) float32: the probabilities of the classes, then the targets in MeV or rad.
        """

    def predict(self, showers: Showers) -> Predicted:
        """The predictions, all showers in one batch."""
        device = next(self.parameters()).device
        with torch.inference_mode():
            rows = self(torch.from_numpy(showers.dense()).to(device)).double().cpu().numpy()
        split = len(self.classes)
        targets = {name: rows[:, split + k] for k, name in enumerate(self.targets)}
        return Predicted(self.classes, rows[:, :split], targets)


class DirectPredictor(Predictor, Fittable):
    """Fitted in one go."""
