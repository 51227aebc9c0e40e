"""Triforce's DNN: all cells and four scalars through dense layers."""

from __future__ import annotations

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from caloforge.models.keras import Dropout
from caloforge.models.predictors.triforce.inputs import SCALARS, Inputs
from caloforge.models.predictors.triforce.model import TriforceConfig, TriforceModel


class DenseConfig(TriforceConfig):
    """4 layers of 256 neurons (512 in the public code)."""

    learning_rate: PositiveFloat = 2e-4
    hidden: PositiveInt = 4
    neurons: PositiveInt = 256
    dropout: float = Field(default=0.04, ge=0.0, lt=1.0)


class Dense(nn.Module):
    """A linear layer, ``hidden`` layers with ReLU and dropout; the scalars again at the end."""

    def __init__(self, cells: int, outputs: int, config: DenseConfig) -> None:
        super().__init__()
        neurons = config.neurons
        self.first = nn.Linear(cells + SCALARS, neurons)
        self.hidden = nn.ModuleList(nn.Linear(neurons, neurons) for _ in range(config.hidden))
        self.dropout = Dropout(config.dropout)
        self.last = nn.Linear(neurons + SCALARS, outputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """(B, outputs)."""
        images = [image.flatten(1) for image in (inputs.ecal, inputs.hcal) if image is not None]
        x = self.first(torch.cat([*images, inputs.scalars], dim=1))
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        last: torch.Tensor = self.last(torch.cat([x, inputs.scalars], dim=1))
        return last


class TriforceDNN(TriforceModel):
    """Triforce's dense network on all cells."""

    kind = "triforce-dnn"
    config_class = DenseConfig

    def build(self, outputs: int) -> nn.Module:
        """The dense network."""
        assert isinstance(self.config, DenseConfig)
        return Dense(self.inputs.cells, outputs, self.config)
