"""Triforce's GoogLeNet: nine inception blocks on the ECAL; the HCAL enters by its sum.

The image is normalised shower by shower, so the energy comes from the scalars alone. Source of the
blocks: C. Szegedy et al., Going deeper with convolutions, CVPR 2015.
"""

from __future__ import annotations

import torch
from pydantic import PositiveFloat
from torch import nn

from caloforge.models.predictors.triforce.inputs import SCALARS, Inputs, Shape
from caloforge.models.predictors.triforce.model import TriforceConfig, TriforceModel

EPSILON = 1e-7
FIRST = 192
DENSE = 1024
POOL = 7

Widths = tuple[int, int, int, int, int, int]
STAGES: tuple[tuple[Widths, ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""Filters of the branches of each inception block: 1; 1, 3; 1, 5; pool. Stages halve the image."""


class GoogLeNetConfig(TriforceConfig):
    """The published learning rate."""

    learning_rate: PositiveFloat = 1e-4


def _unit(channels: int, filters: int, kernel: int) -> nn.Sequential:
    """Convolution of the same size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv3d(channels, filters, kernel, padding=kernel // 2),
        nn.BatchNorm3d(filters, eps=EPSILON),
        nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """Four branches side by side: 1; 1, 3; 1, 3, 3 (for a kernel of 5); pool, 1."""

    def __init__(self, channels: int, widths: Widths) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pool = widths
        self.one = _unit(channels, one, 1)
        self.three = nn.Sequential(_unit(channels, three_in, 1), _unit(three_in, three, 3))
        self.five = nn.Sequential(
            _unit(channels, five_in, 1), _unit(five_in, five, 3), _unit(five, five, 3)
        )
        self.pool = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), _unit(channels, pool, 1))
        self.filters = one + three + five + pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, x, y, depth) -> (B, filters, x, y, depth)."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


class GoogLeNet(nn.Module):
    """Image and scalars -> outputs; the last pooling is by 7 or by what is left."""

    def __init__(self, shape: Shape, outputs: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm3d(1)
        layers: list[nn.Module] = [_unit(1, FIRST, 3)]
        channels, left = FIRST, list(shape)
        for number, stage in enumerate(STAGES):
            if number:
                layers.append(nn.MaxPool3d(3, stride=2, padding=1))
                left = [-(-n // 2) for n in left]
            for widths in stage:
                block = Inception(channels, widths)
                layers.append(block)
                channels = block.filters
        pool = (min(POOL, left[0]), min(POOL, left[1]), min(POOL, left[2]))
        self.features = nn.Sequential(*layers, nn.AvgPool3d(pool, stride=1), nn.Flatten())
        for n, kernel in zip(left, pool, strict=True):
            channels *= n - kernel + 1
        self.dense = nn.Linear(channels + SCALARS, DENSE)
        self.last = nn.Linear(DENSE + SCALARS, outputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """(B, outputs)."""
        x = self.features(self.norm(inputs.ecal))
        x = torch.relu(self.dense(torch.cat([x, inputs.scalars], dim=1)))
        last: torch.Tensor = self.last(torch.cat([x, inputs.scalars], dim=1))
        return last


class TriforceGoogLeNet(TriforceModel):
    """Triforce's GoogLeNet on the ECAL (meant for a GPU)."""

    kind = "triforce-googlenet"
    config_class = GoogLeNetConfig

    def build(self, outputs: int) -> nn.Module:
        """The GoogLeNet."""
        return GoogLeNet(self.inputs.ecal_shape, outputs)
