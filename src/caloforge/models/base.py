"""The contract of every model, and of generators: condition and noise in, MeV per cell out.

A :class:`Model` is a torch module whose whole state is tensors, so it is saved without pickle.
What it does, and how it learns, are two things:

    Model
    +-- ShowerModel      generates showers
    +-- Predictor        says what made a shower (caloforge.models.predictors)
    +-- Trainable        learns by gradient steps: it brings losses, optimizers and one step
    +-- Fittable         learns in one go from a sample of showers

    GradientModel is a ShowerModel and Trainable, DirectModel a ShowerModel and Fittable.

The ``forward`` of a generator includes the inverse preprocessing and the cell threshold, so what
is exported is what is validated. Noise comes from outside: the same noise gives the same shower
whatever the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.showers import Showers


class ModelConfig(BaseModel):
    """Base of every model's configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Latent:
    """The noise of one shower: ``size`` independent numbers."""

    size: int
    distribution: Literal["normal", "uniform"] = "normal"


@dataclass(frozen=True)
class TrainingBatch:
    """Real showers: ``condition`` (B, C) in the model's columns, ``energy`` (B, n_cells) MeV."""

    condition: torch.Tensor
    energy: torch.Tensor


@dataclass(frozen=True)
class TrainingSample:
    """What a model may look at before its first step, whatever the size of the data.

    ``count`` showers in all; ``ranges``: (lowest, highest) of each of the model's condition columns
    over all of them (MeV, rad, mm); ``showers``: a random part of them.
    """

    count: int
    ranges: Mapping[str, tuple[float, float]]
    showers: Showers

    @classmethod
    def whole(cls, showers: Showers) -> TrainingSample:
        """A sample that is in memory as a whole."""
        columns = showers.incident.columns
        ranges = {name: (float(v.min()), float(v.max())) for name, v in columns.items()}
        return cls(len(showers), ranges, showers)


class Update(Protocol):
    """One optimizer step: clears gradients, goes backward from ``loss``, checks, steps."""

    def __call__(
        self, optimizer: str, loss: torch.Tensor, parts: Mapping[str, torch.Tensor]
    ) -> None:
        """``parts`` are the terms of the loss, to name the culprit when it is not finite."""


class Model(nn.Module, ABC):
    """What all models have: a kind, a configuration, a calorimeter.

    Args:
        calorimeter: where the showers happen.
        config: this model's configuration.

    Raises:
        GeometryError: the model cannot describe this calorimeter.
    """

    kind: ClassVar[str]
    """The name in recipes and artifacts."""

    config_class: ClassVar[type[ModelConfig]]
    condition_columns: tuple[str, ...] = ("energy",)
    """Incident columns (MeV, rad, mm) that the model takes in training, in order: a generator's
    condition, a predictor's truth."""

    particles: tuple[int, ...] = ()
    """PDG codes that ``forward`` knows, where ``pdg`` is one of its columns; none: any."""

    home: ClassVar[str] = "lcd-ecal-25"
    """The shipped detector that the published sizes are for; others may do as well."""

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__()
        self.calorimeter = calorimeter
        self.config = config

    def networks(self) -> dict[str, int]:
        """The model's networks and the trainable parameters of each, as papers count them."""
        counts = {
            name: sum(p.numel() for p in child.parameters())
            for name, child in self.named_children()
        }
        return {name: count for name, count in counts.items() if count}

    def preprocessing(self) -> dict[str, Any]:
        """What stands between MeV and the network, for the artifact's metadata."""
        return {}


class ShowerModel(Model):
    """Generates showers of one calorimeter."""

    exportable: ClassVar[bool] = True
    """Whether ``forward`` can become a compact ONNX graph."""

    @property
    @abstractmethod
    def latent(self) -> Latent:
        """The noise that one shower takes."""

    @abstractmethod
    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers.

        Args:
            condition: (B, C) float32, the ``condition_columns`` in MeV, rad, mm.
            noise: (B, latent.size) float32.

        Returns:
            (B, n_cells) float32 MeV; cells below the calorimeter's threshold are zero.
        """


class Trainable(Model):
    """Trained by gradient steps. The global torch RNG is seeded before every step."""

    in_parts: ClassVar[bool] = True
    """Whether ``training_step`` may see a batch in parts (``training.accumulate``); not if the
    model's state counts the steps."""

    def prepare(self, sample: TrainingSample) -> None:
        """Look at the training sample once, before the first step (ranges, means)."""

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Fresh optimizers by name, over this model's parameters."""

    @abstractmethod
    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """One published training step on real showers.

        Args:
            batch: the real showers.
            update: call it with an optimizer's name and its loss, as often as the recipe says.

        Returns:
            Scalar losses by name, for the log.
        """


class Fittable(Model):
    """Fitted in one go."""

    @abstractmethod
    def fit(self, showers: Showers) -> None:
        """Set the state from a sample of showers.

        Raises:
            ShowerError: the sample cannot be used.
        """

    def expect_state(self, state: dict[str, torch.Tensor]) -> None:
        """Make room for ``state`` before it is loaded (the size depends on the sample)."""


class GradientModel(ShowerModel, Trainable):
    """A generator trained by gradient steps."""


class DirectModel(ShowerModel, Fittable):
    """A generator fitted in one go."""
