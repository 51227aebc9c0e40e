"""Triforce's ResNet: residual blocks with SELU on the ECAL; the HCAL enters by its sum.

The published one sees no scalars, as it only classifies; here they join the dense layers as in
Triforce's GoogLeNet, so that it can tell the energy, too.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import nn

from caloforge.errors import GeometryError
from caloforge.models.predictors.triforce.inputs import SCALARS, Inputs, Shape
from caloforge.models.predictors.triforce.model import TriforceConfig, TriforceModel

WIDTHS = (32, 64, 96)
"""Channels of the stages with residual blocks."""
BLOCKS = 4
LAST = (128, 192)


class ResNetConfig(TriforceConfig):
    """The window of the public code: the whole ECAL."""

    window: NonNegativeInt = 51
    learning_rate: PositiveFloat = 1e-4


class Residual(nn.Module):
    """SELU(x + convolution(SELU(convolution(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, x, y, depth) -> the same shape."""
        inner = self.second(nn.functional.selu(self.first(x)))
        return nn.functional.selu(inner + x)


class ResNet(nn.Module):
    """Image and scalars -> outputs; the last convolution covers what is left of the image."""

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.SELU()]
        left = list(shape)
        channels = 1
        for number, width in enumerate((*WIDTHS, LAST[0])):
            stride, padding = (1 if number == 0 else 2), (0 if number == 1 else 1)
            layers += [nn.Conv3d(channels, width, 3, stride, padding), nn.SELU()]
            left = [(n + 2 * padding - 3) // stride + 1 for n in left]
            if width in WIDTHS:
                layers += [Residual(width) for _ in range(BLOCKS)]
            channels = width
        if min(left) < 1:
            raise GeometryError(
                f"triforce-resnet: a window of {shape} cells (x, y, depth) is too small; it needs "
                "3 along every axis"
            )
        whole = (left[0], left[1], left[2])
        layers += [nn.Conv3d(channels, LAST[1], whole), nn.SELU(), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(LAST[1] + SCALARS, LAST[1])
        self.last = nn.Linear(LAST[1] + SCALARS, outputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """(B, outputs)."""
        x = torch.cat([self.features(inputs.ecal), inputs.scalars], dim=1)
        x = nn.functional.selu(self.dense(x))
        last: torch.Tensor = self.last(torch.cat([x, inputs.scalars], dim=1))
        return last


class TriforceResNet(TriforceModel):
    """Triforce's ResNet on the ECAL."""

    kind = "triforce-resnet"
    config_class = ResNetConfig

    def build(self, outputs: int) -> nn.Module:
        """The ResNet."""
        return ResNet(self.inputs.ecal_shape, outputs)
