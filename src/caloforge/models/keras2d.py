"""Keras' 2-D layers on channels-last images, made of slices and matrix products.

The same code trains, infers in float64 and exports: ONNX Runtime has no convolutions and no
LeakyReLU in float64, but it has matrix products. For kernels of one image with few cells they are
as fast as convolutions. Images are (B, X, Y, C); kernels are stored as Keras stores them, with the
taps in the order x, y, channel.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.models import keras
from caloforge.models.matmul3d import normalise

Pair = tuple[int, int]


def out_shape(shape: Pair, kernel: Pair, strides: Pair = (1, 1)) -> Pair:
    """(X, Y) behind a layer that pads nothing."""
    (x, y), (a, b), (s, t) = shape, kernel, strides
    return (x - a) // s + 1, (y - b) // t + 1


def patches(image: torch.Tensor, kernel: Pair, strides: Pair = (1, 1)) -> torch.Tensor:
    """What the kernel sees at every position: (B, X, Y, C) -> (B, X', Y', kx * ky * C)."""
    shape = out_shape((image.shape[1], image.shape[2]), kernel, strides)
    for axis in (1, 0):
        taps = [_every(image, axis + 1, i, shape[axis], strides[axis]) for i in range(kernel[axis])]
        image = torch.cat(taps, dim=-1)
    return image


def _every(image: torch.Tensor, axis: int, first: int, count: int, step: int) -> torch.Tensor:
    """``count`` cells along ``axis``, every ``step``-th from ``first`` on."""
    part = image.narrow(axis, first, (count - 1) * step + 1)
    if step == 1:
        return part
    return part[:, ::step] if axis == 1 else part[:, :, ::step]


class ZeroPadding2D(nn.Module):
    """``front`` zeros before and ``back`` zeros behind each of the axes x, y."""

    def __init__(self, front: Pair, back: Pair | None = None) -> None:
        super().__init__()
        (x0, y0), (x1, y1) = front, back or front
        self.padding = [0, 0, y0, y1, x0, x1]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> padded."""
        return F.pad(image, self.padding)


class Conv2D(nn.Module):
    """A convolution with stride 1, ``same`` with Keras' padding (longer behind), or unpadded."""

    def __init__(
        self,
        channels: Pair,
        kernel: Pair,
        same: bool = True,
        how: keras.Initializer = "glorot_uniform",
    ) -> None:
        super().__init__()
        (c, out), (a, b) = channels, kernel
        front = ((a - 1) // 2, (b - 1) // 2)
        back = (a - 1 - front[0], b - 1 - front[1])
        self.padding = ZeroPadding2D(front, back) if same else None
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(a * b * c, out))
        self.bias = nn.Parameter(torch.zeros(out))
        keras.fill(self.weight, how, a * b * c, a * b * out)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> (B, X', Y', C')."""
        padded = image if self.padding is None else self.padding(image)
        return patches(padded, self.kernel) @ self.weight + self.bias


class LeakyReLU(nn.Module):
    """Keras' LeakyReLU, slope 0.3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Element by element."""
        if x.dtype != torch.float64:
            return F.leaky_relu(x, keras.LEAKY_SLOPE)
        # exporters write bare Python numbers as float32
        slope = torch.tensor(keras.LEAKY_SLOPE, dtype=x.dtype, device=x.device)
        return torch.maximum(x, slope * x)


class BatchNormalization(nn.Module):
    """Normalises every channel over batch and positions, Keras' momentum 0.99 and epsilon 1e-3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> normalised; with the running statistics in eval mode."""
        if not self.training:
            return normalise(image, self.norm)
        normalised: torch.Tensor = self.norm(image.flatten(0, 2))
        return normalised.reshape(image.shape)


class UpSampling2D(nn.Module):
    """Repeats every cell ``factor`` times along x and y (nearest neighbour)."""

    def __init__(self, factor: Pair) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> (B, fx * X, fy * Y, C)."""
        (_, x, y, c), (a, b) = image.shape, self.factor
        fine = image.reshape(-1, x, 1, y, 1, c).expand(-1, x, a, y, b, c)
        return fine.reshape(-1, x * a, y * b, c)


class AveragePooling2D(nn.Module):
    """Means of blocks of ``size`` cells; what is left over behind is cut off."""

    def __init__(self, size: Pair) -> None:
        super().__init__()
        self.size = size

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> (B, X // sx, Y // sy, C)."""
        a, b = self.size
        x, y = image.shape[1] // a, image.shape[2] // b
        blocks = image[:, : x * a, : y * b].reshape(-1, x, a, y, b, image.shape[3])
        return blocks.mean(dim=(2, 4))
