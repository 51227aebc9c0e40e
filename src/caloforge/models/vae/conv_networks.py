"""The two networks of the convolutional variational autoencoder.

Images are (B, channels, x, y, depth). Every convolution is followed by batch normalisation and
LeakyReLU. Inference runs the same weights as matrix products, see :mod:`caloforge.models.matmul3d`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from caloforge.models import matmul3d
from caloforge.models.keras import LeakyReLU, SamePad3d, batch_norm, initialise

CHANNELS = 3
"""Of the encoder's image: hit, level, and the energy of the cell's layer."""

STEP = 2
"""Cells that a strided or transposed convolution joins along each axis."""

Triple = tuple[int, int, int]


def halved(shape: Triple) -> Triple:
    """Size of an image after a convolution with stride 2, or before a transposed one."""
    x, y, z = (-(-size // STEP) for size in shape)
    return x, y, z


class Encoder(nn.Module):
    """Image (B, 3, x, y, depth) and what is known (B, n) -> latents' parameters.

    Three convolutions (3, 3, 3) with stride 2, and two dense layers.

    Args:
        shape: x, y, depth.
        known: numbers that are known of the shower.
        width: channels of the first convolution; twice as many in the others.
        hidden: size of the hidden dense layer.
        latents: number of latents.
    """

    def __init__(self, shape: Triple, known: int, width: int, hidden: int, latents: int) -> None:
        super().__init__()
        channels = (CHANNELS, width, 2 * width, 2 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            convolution = nn.Conv3d(before, after, 3, stride=STEP, padding=1)
            initialise([convolution], "he_uniform")
            layers += [convolution, batch_norm(after), LeakyReLU()]
            shape = halved(shape)
        self.body = nn.Sequential(*layers)
        flat = shape[0] * shape[1] * shape[2] * channels[-1]
        self.dense = nn.Sequential(nn.Linear(flat + known, hidden), LeakyReLU())
        self.last = nn.Linear(hidden, 2 * latents)

    def forward(
        self, image: torch.Tensor, known: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and logarithms of the variances of the latents, each (B, latents)."""
        flat = self.body(image).flatten(1).float()
        mean, log_variance = self.last(self.dense(torch.cat([flat, known], -1))).chunk(2, -1)
        return mean, log_variance


class Decoder(nn.Module):
    """Latents and what is known (B, L + n) -> ``size`` numbers for every cell of the image.

    Two dense layers make a coarse image; then, twice, a convolution (3, 3, 3) and a transposed one
    that makes 2 x 2 x 2 cells of one. What stands over is cut off.

    Args:
        shape: x, y, depth of the image.
        inputs: size of the input.
        width: channels.
        hidden: size of the hidden dense layer.
        size: numbers for a cell.
    """

    def __init__(self, shape: Triple, inputs: int, width: int, hidden: int, size: int) -> None:
        super().__init__()
        self.shape, self.coarse = shape, halved(halved(shape))
        cells = self.coarse[0] * self.coarse[1] * self.coarse[2]
        self.dense = nn.Sequential(
            nn.Linear(inputs, hidden), LeakyReLU(), nn.Linear(hidden, width * cells), LeakyReLU()
        )
        self.first = _convolution(width)
        self.middle = nn.ConvTranspose3d(width, width, STEP, stride=STEP)
        self.second = _convolution(width)
        self.last = nn.ConvTranspose3d(width, size, STEP, stride=STEP)
        with torch.no_grad():  # begin near the usual shower
            self.last.weight.mul_(0.1)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, L + n) -> (B, x, y, depth, size)."""
        image = self._image(self.dense(inputs)).permute(0, 4, 1, 2, 3)
        image = self.second(self.middle(self.first(image)))
        return self._cut(self.last(image).permute(0, 2, 3, 4, 1))

    def infer(self, inputs: torch.Tensor) -> torch.Tensor:
        """The same numbers with the running means, by matrix products, in the inputs' dtype."""
        x = inputs
        for layer in self.dense:
            if isinstance(layer, nn.Linear):
                x = x @ layer.weight.to(x.dtype).T + layer.bias.to(x.dtype)
            else:
                x = matmul3d.run(nn.Sequential(layer), x)
        image = matmul3d.run(self.first, self._image(x))
        image = matmul3d.run(self.second, _transposed(image, self.middle))
        return self._cut(_transposed(image, self.last))

    def _image(self, flat: torch.Tensor) -> torch.Tensor:
        """(B, n) -> the coarse image (B, X, Y, Z, C)."""
        return flat.reshape(flat.shape[0], *self.coarse, -1)

    def _cut(self, image: torch.Tensor) -> torch.Tensor:
        x, y, z = self.shape
        return image[:, :x, :y, :z]


def _convolution(channels: int) -> nn.Sequential:
    convolution = nn.Conv3d(channels, channels, 3)
    initialise([convolution], "he_uniform")
    return nn.Sequential(SamePad3d((3, 3, 3)), convolution, batch_norm(channels), LeakyReLU())


def _transposed(image: torch.Tensor, layer: nn.ConvTranspose3d) -> torch.Tensor:
    """A transposed convolution whose kernel is its stride: (B, X, Y, Z, C) -> (B, 2X, 2Y, 2Z, C').

    One matrix product, then the 2 x 2 x 2 cells of each are put beside each other.
    """
    weight = layer.weight.to(image.dtype)  # (C, C', 2, 2, 2)
    matrix = weight.permute(0, 2, 3, 4, 1).reshape(len(weight), -1)
    x, y, z = image.shape[1:4]
    fine = (image @ matrix).reshape(-1, x, y, z, STEP, STEP, STEP, weight.shape[1])
    beside = fine.permute(0, 1, 4, 2, 5, 3, 6, 7)
    whole = beside.reshape(-1, STEP * x, STEP * y, STEP * z, weight.shape[1])
    assert layer.bias is not None
    return whole + layer.bias.to(image.dtype)
