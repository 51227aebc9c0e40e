"""Triforce's CNN: one convolution on ECAL and on HCAL, then dense layers."""

from __future__ import annotations

import math

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from caloforge.errors import GeometryError
from caloforge.models.keras import Dropout
from caloforge.models.predictors.triforce.inputs import SCALARS, Inputs, Shape
from caloforge.models.predictors.triforce.model import TriforceConfig, TriforceModel

FILTERS = 3
ECAL_KERNEL = (4, 4, 4)
HCAL_KERNEL = (2, 2, 6)
POOL = 2


class ConvolutionConfig(TriforceConfig):
    """4 layers of 512 neurons behind the convolutions."""

    learning_rate: PositiveFloat = 4e-4
    hidden: PositiveInt = 4
    neurons: PositiveInt = 512
    dropout: float = Field(default=0.12, ge=0.0, lt=1.0)


class Branch(nn.Sequential):
    """Image (B, 1, x, y, depth) -> (B, size): convolution with 3 filters, ReLU, pooling by 2."""

    def __init__(self, shape: Shape, kernel: Shape) -> None:
        left = [(n - k + 1) // POOL for n, k in zip(shape, kernel, strict=True)]
        if min(left) < 1:
            raise GeometryError(
                f"triforce-cnn: a window of {shape} cells (x, y, depth) is too small for its "
                f"kernel {kernel} and pooling; use triforce-dnn"
            )
        convolution = nn.Conv3d(1, FILTERS, kernel)
        super().__init__(convolution, nn.ReLU(), nn.MaxPool3d(POOL), nn.Flatten())
        self.size = FILTERS * math.prod(left)


class Convolution(nn.Module):
    """The branches and the scalars, then dense layers; the scalars again at the end."""

    def __init__(
        self, ecal: Shape, hcal: Shape | None, outputs: int, config: ConvolutionConfig
    ) -> None:
        super().__init__()
        self.ecal = Branch(ecal, ECAL_KERNEL)
        self.hcal = Branch(hcal, HCAL_KERNEL) if hcal else None
        size = self.ecal.size + (self.hcal.size if self.hcal else 0) + SCALARS
        sizes = [size, *[config.neurons] * config.hidden]
        self.hidden = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        self.dropout = Dropout(config.dropout)
        self.last = nn.Linear(config.neurons + SCALARS, outputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """(B, outputs)."""
        parts = [self.ecal(inputs.ecal)]
        if self.hcal is not None:
            parts.append(self.hcal(inputs.hcal))
        x = torch.cat([*parts, inputs.scalars], dim=1)
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        last: torch.Tensor = self.last(torch.cat([x, inputs.scalars], dim=1))
        return last


class TriforceCNN(TriforceModel):
    """Triforce's convolutional network on ECAL and HCAL."""

    kind = "triforce-cnn"
    config_class = ConvolutionConfig

    def build(self, outputs: int) -> nn.Module:
        """The convolutional network."""
        assert isinstance(self.config, ConvolutionConfig)
        shapes = self.inputs.ecal_shape, self.inputs.hcal_shape
        return Convolution(*shapes, outputs, self.config)
