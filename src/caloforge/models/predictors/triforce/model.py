"""Triforce's combined classifier and regressor: what its four networks share.

The outputs are a logit per class, and a number per target:

    energy    (E - Ereco) / 10 in GeV, Ereco being the sum of all cells
    theta     10 (theta - measured theta), of the axis in the x-z plane
    phi       10 phi

Loss: cross entropy + the mean of ((E - Ereco) / (10 ln E) - output / ln E)^2 + 10 x the mean
squared difference of the scaled angles. Adam. Cells are in 50 x GeV, so that the cells of an LCD
shower sum to about its energy.

Differences: the cross entropy is taken of the logits (the public code takes it of the softmax,
which cannot become sure), ln E is at least 1 (E = e GeV: the loss has a pole at 1 GeV), and
instead of pseudorapidity and azimuth there are our angles.

Source: D. Belayneh et al., Calorimetry with deep learning, Eur. Phys. J. C 80 (2020) 688, and its
public code (MattUnderscoreZhang/Triforce_CaloML).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import nn
from torch.nn import functional as F

from caloforge.geometry import Calorimeter
from caloforge.models.base import ModelConfig, TrainingBatch, TrainingSample, Update
from caloforge.models.predictors.base import GradientPredictor, PredictorConfig, training_numbers
from caloforge.models.predictors.triforce.inputs import ANGLE_SCALE, Inputs, ShowerInputs

MEV_PER_GEV = 1000.0
ENERGY_SCALE = 10.0
"""GeV per unit of the energy output."""

Losses = dict[str, torch.Tensor]


class TriforceConfig(PredictorConfig):
    """What the four networks share; the published values are the defaults."""

    window: NonNegativeInt = 25
    """Central cells of the ECAL along x and y; 0: all."""
    units: PositiveFloat = 50.0
    """Network units per GeV of a cell."""
    learning_rate: PositiveFloat
    class_weight: NonNegativeFloat = 1.0
    energy_weight: NonNegativeFloat = 1.0
    angle_weight: NonNegativeFloat = 10.0
    """Weights of the terms of the loss."""


class TriforceModel(GradientPredictor):
    """Inputs, outputs and loss around one of the networks."""

    home = "lcd-ecal+lcd-hcal"

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, TriforceConfig)
        self.settings = config
        self.inputs = ShowerInputs(calorimeter, config.window, config.units)
        self.network = self.build(len(self.classes) + len(self.targets))

    @abstractmethod
    def build(self, outputs: int) -> nn.Module:
        """The network: (:class:`Inputs`) -> (B, outputs).

        Raises:
            GeometryError: the windows are too small for it.
        """

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling and the ECAL's window."""
        return {
            "cells": self.inputs.scaling.model_dump(),
            "ecal": list(self.inputs.ecal_shape),
            "hcal": list(self.inputs.hcal_shape or ()),
        }

    def forward(self, energy: torch.Tensor) -> torch.Tensor:
        """Probabilities, then targets, see :meth:`GradientPredictor.forward`."""
        inputs = self.inputs(energy)
        raw = self.network(inputs).float()
        columns = [torch.softmax(raw[:, : len(self.classes)], dim=1)]
        for name, value in self._by_target(raw).items():
            columns.append(self._decode(name, value, inputs)[:, None])
        return torch.cat(columns, dim=1)

    def _by_target(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(self.targets, raw[:, len(self.classes) :].unbind(dim=1), strict=True))

    @staticmethod
    def _decode(name: str, value: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """A target in MeV or rad from its output."""
        if name == "energy":
            energy = inputs.visible + ENERGY_SCALE * value
            return MEV_PER_GEV * energy.clamp(min=0.0)
        return _measured(name, inputs) + value / ANGLE_SCALE

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Check that the sample holds no other particles than the classes.

        Raises:
            ShowerError: it does.
        """
        if self.classes:
            training_numbers(sample.showers.incident["pdg"], self.classes)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        rate = self.settings.learning_rate
        return {"network": torch.optim.Adam(self.network.parameters(), lr=rate)}

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """One step on the weighted sum of the losses."""
        inputs = self.inputs(batch.energy)
        raw = self.network(inputs).float()
        parts = self._losses(raw, batch.condition.float(), inputs)
        weights = {"classes": self.settings.class_weight, "energy": self.settings.energy_weight}
        angle = self.settings.angle_weight
        total = torch.stack([weights.get(name, angle) * p for name, p in parts.items()]).sum()
        losses = {name: value.detach() for name, value in parts.items()}
        update("network", total, losses)
        return losses

    def _losses(self, raw: torch.Tensor, truth: torch.Tensor, inputs: Inputs) -> Losses:
        """The terms of the loss, not weighted; ``truth`` (B, C) in the condition's columns."""
        losses: Losses = {}
        column = dict(zip(self.condition_columns, truth.unbind(dim=1), strict=True))
        if self.classes:
            logits = raw[:, : len(self.classes)]
            losses["classes"] = F.cross_entropy(logits, self._numbers(column["pdg"]))
        for name, value in self._by_target(raw).items():
            if name == "energy":
                energy = column[name] / MEV_PER_GEV
                wanted = (energy - inputs.visible) / ENERGY_SCALE
                losses[name] = (((value - wanted) / energy.log().clamp(min=1.0)) ** 2).mean()
            else:
                wanted = ANGLE_SCALE * (column[name] - _measured(name, inputs))
                losses[name] = F.mse_loss(value, wanted)
        return losses

    def _numbers(self, pdg: torch.Tensor) -> torch.Tensor:
        """Number of every particle's class."""
        numbers = training_numbers(pdg.cpu().numpy(), self.classes)
        return torch.from_numpy(numbers).to(pdg.device)


def _measured(name: str, inputs: Inputs) -> torch.Tensor:
    """What the axis says of an angle (rad); of phi, which it tells badly near the normal, 0."""
    slope = inputs.slope[:, 0]
    return np.pi / 2 - torch.atan(slope) if name == "theta" else torch.zeros_like(slope)
