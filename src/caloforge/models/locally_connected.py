"""Locally connected layers: convolutions whose kernel differs from position to position.

As Keras' LocallyConnected2D: a kernel (positions, taps, filters) and a bias for every position and
filter. Keras computes the initialisation as if positions were part of the receptive field, so
weights start smaller than those of a convolution, by the square root of the number of positions.
Keras 1, in which LAGAN was trained, took the square root of the number of weights for both fans.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from caloforge.models import keras
from caloforge.models.keras2d import Pair, out_shape, patches

Fans = Literal["keras", "keras1"]
"""How the size of the first weights is computed: as Keras 2 and later, or as Keras 1."""


def fans(shape: tuple[int, int, int], which: Fans) -> tuple[float, float]:
    """(fan in, fan out) of a kernel of three axes, the last two being inputs and outputs."""
    if which == "keras1":
        both = math.sqrt(math.prod(shape))
        return both, both
    return shape[0] * shape[1], shape[0] * shape[2]


class LocallyConnected2D(nn.Module):
    """An unpadded locally connected layer.

    Args:
        shape: (X, Y) of its images.
        channels: of its images, and filters.
        kernel: (x, y) taps.
        strides: steps along x and y.
        bias: whether every position and filter has one.
        how: Keras' initialisation of the kernel.
        which: the fans of that initialisation.
    """

    def __init__(
        self,
        shape: Pair,
        channels: Pair,
        kernel: Pair,
        strides: Pair = (1, 1),
        *,
        bias: bool = True,
        how: keras.Initializer = "glorot_uniform",
        which: Fans = "keras",
    ) -> None:
        super().__init__()
        self.kernel, self.strides = kernel, strides
        self.shape = out_shape(shape, kernel, strides)
        """(X', Y') of what it makes."""
        x, y = self.shape
        taps, filters = kernel[0] * kernel[1] * channels[0], channels[1]
        self.weight = nn.Parameter(torch.empty(x * y, taps, filters))
        self.bias = nn.Parameter(torch.zeros(x, y, filters)) if bias else None
        keras.fill(self.weight, how, *fans((x * y, taps, filters), which))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> (B, X', Y', filters)."""
        x, y = self.shape
        seen = patches(image, self.kernel, self.strides).reshape(-1, x * y, self.weight.shape[1])
        made = torch.matmul(seen.transpose(0, 1), self.weight).transpose(0, 1)
        result = made.reshape(-1, x, y, self.weight.shape[2])
        return result if self.bias is None else result + self.bias
