"""Keras conventions in torch, so that a ported network is the published one.

The traps: LeakyReLU slopes down with 0.3, not 0.01; "same" padding of an even kernel is one
longer behind than in front; batch normalisation keeps 0.99 of its running mean (0.01 in torch's
words) and has its own epsilon; upsampling repeats (nearest); RMSprop forgets with 0.9 (not 0.99)
and has epsilon 1e-7; weights start from glorot_uniform unless said otherwise, biases from zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.models import draws

LEAKY_SLOPE = 0.3
Initializer = Literal["glorot_uniform", "glorot_normal", "he_uniform"]


class LeakyReLU(nn.Module):
    """Keras' LeakyReLU, slope 0.3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Element by element."""
        return F.leaky_relu(x, LEAKY_SLOPE)


class ZeroPad3d(nn.Module):
    """ZeroPadding3D((a, b, c)): the same number of zeros on both sides of each axis."""

    def __init__(self, padding: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = padding
        self.padding = (c, c, b, b, a, a)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y, Z) -> padded."""
        return F.pad(x, self.padding)


class SamePad2d(nn.Module):
    """The zeros that ``padding="same"`` puts around a stride-1 convolution of this kernel."""

    def __init__(self, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.padding = _same(kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y) -> padded."""
        return F.pad(x, self.padding)


class SamePad3d(nn.Module):
    """The zeros that ``padding="same"`` puts around a stride-1 convolution of this kernel."""

    def __init__(self, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        self.padding = _same(kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y, Z) -> padded."""
        return F.pad(x, self.padding)


def _same(kernel: Sequence[int]) -> list[int]:
    """Zeros in front of and behind every axis, the last axis first: one more behind if even."""
    sides: list[int] = []
    for size in reversed(kernel):
        front = (size - 1) // 2
        sides += [front, size - 1 - front]
    return sides


class ConvTranspose2d(nn.ConvTranspose2d):
    """Conv2DTranspose with ``padding="same"``: (B, C, X, Y) -> (B, C', stride * X, stride * Y).

    Of the k - stride surplus positions of an axis the smaller half is cut in front.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int) -> None:
        super().__init__(channels, filters, kernel, stride)
        self.front = ((kernel - stride) // 2,) * 2

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """Upsampled by the stride."""
        x0, y0 = self.front
        size_x, size_y = (n * s for n, s in zip(x.shape[2:], self.stride, strict=True))
        return super().forward(x)[:, :, x0 : x0 + size_x, y0 : y0 + size_y]


class UpSampling3D(nn.Module):
    """Repeats every voxel ``factor`` times along each axis (nearest neighbour)."""

    def __init__(self, factor: tuple[int, int, int]) -> None:
        super().__init__()
        self.factor = tuple(float(f) for f in factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y, Z) -> larger."""
        if _repeatable(x):
            return repeat_voxels(x, self.factor)
        return F.interpolate(x, scale_factor=list(self.factor), mode="nearest")


class AveragePooling3D(nn.Module):
    """Means of blocks of ``size`` voxels a side; what is left over at the ends is cut off."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y, Z) -> smaller."""
        return block_means(x, self.size) if _repeatable(x) else F.avg_pool3d(x, self.size)


def _repeatable(x: torch.Tensor) -> bool:
    """Whether torch's own upsampling and pooling will not do: their gradients differ by bits."""
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()


def repeat_voxels(x: torch.Tensor, factor: Sequence[float]) -> torch.Tensor:
    """(B, C, X, Y, Z) with voxels ``factor`` times along each axis, the same bits every time."""
    a, b, c = (int(f) for f in factor)
    n, channels, *sizes = x.shape
    fine = x[:, :, :, None, :, None, :, None].expand(-1, -1, -1, a, -1, b, -1, c)
    return fine.reshape(n, channels, *(s * f for s, f in zip(sizes, (a, b, c), strict=True)))


def block_means(x: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, X, Y, Z) -> means of blocks of ``size`` voxels a side, the same bits every time."""
    a, b, c = (length // size for length in x.shape[2:])
    whole = x[:, :, : a * size, : b * size, : c * size]
    return whole.reshape(*x.shape[:2], a, size, b, size, c, size).mean(dim=(3, 5, 7))


class Dropout(nn.Module):
    """Dropout whose mask costs a quarter of the random numbers: 16 bits per element.

    torch draws one 32-bit number per element, one after the other, on the CPU; on large images
    that is a quarter of the training time. The rate is exact to 2^-16. The mask of a shower does
    not depend on the number of processes (on GPUs it does, where torch draws fast).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zero a random fraction ``rate`` of (B, ...) and scale the rest up.

        The identity in eval mode.
        """
        if not self.training or self.rate == 0.0:
            return x
        if x.device.type == "cpu":
            mask: torch.Tensor = _mask(x, self.rate)
            return x * mask
        if draws.place(len(x))[1] == len(x):
            return F.dropout(x, self.rate)
        kept = torch.empty_like(x).bernoulli_(
            1.0 - self.rate, generator=draws.generator(len(x), x.device)
        )
        return x * kept.mul_(1.0 / (1.0 - self.rate))


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _mask(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Zeros and 1 / (1 - rate), shaped and ordered in memory like ``x``."""
    size = x.numel() // len(x)
    kept = draws.words16(len(x), size) >= round(rate * 2**16) - 2**15
    mask = torch.empty_like(x) if x.stride(0) == size else torch.empty(x.shape, dtype=x.dtype)
    mask.as_strided(kept.shape, (size, 1)).copy_(kept)
    return mask.mul_(1.0 / (1.0 - rate))


def batch_norm(channels: int, epsilon: float = 1e-3) -> nn.BatchNorm3d:
    """BatchNormalization with Keras' momentum 0.99."""
    return nn.BatchNorm3d(channels, eps=epsilon, momentum=0.01)


def batch_norm_2d(channels: int) -> nn.BatchNorm2d:
    """BatchNormalization of 2-D images with Keras' momentum 0.99 and epsilon 0.001."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def channels_last(network: nn.Module) -> None:
    """Keep the convolution weights channels-last, as Keras does (and faster on CPUs)."""
    for parameter in network.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)


def rmsprop(parameters: Iterable[nn.Parameter], lr: float = 1e-3) -> torch.optim.RMSprop:
    """RMSprop with Keras' defaults."""
    return torch.optim.RMSprop(parameters, lr=lr, alpha=0.9, eps=1e-7)


def initialise(layers: Sequence[nn.Module], how: Initializer) -> None:
    """Give the dense and convolution layers a Keras initialisation, biases zero."""
    for layer in layers:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        if how == "he_uniform":
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        elif how == "glorot_uniform":
            nn.init.xavier_uniform_(weight)
        else:
            fill(weight, how, *nn.init._calculate_fan_in_and_fan_out(weight))
        if isinstance(layer.bias, torch.Tensor):
            nn.init.zeros_(layer.bias)


def fill(weight: torch.Tensor, how: Initializer, fan_in: float, fan_out: float) -> None:
    """A Keras initialisation of a weight of any layout, its fans given."""
    if how == "glorot_normal":
        # Keras cuts at two sigma and widens, so that the variance stays 2 / (in + out)
        sigma = math.sqrt(2.0 / (fan_in + fan_out)) / 0.87962566103423978
        nn.init.trunc_normal_(weight, std=sigma, a=-2 * sigma, b=2 * sigma)
        return
    bound = math.sqrt(6.0 / (fan_in if how == "he_uniform" else fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)


def mean_absolute_percentage_error(target: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """100 x mean |target - predicted| / max(|target|, 1e-7), as in Keras.

    Raises:
        ValueError: the shapes differ (broadcasting would hide the mistake).
    """
    if target.shape != predicted.shape:
        raise ValueError(f"shapes differ: {tuple(target.shape)}, {tuple(predicted.shape)}")
    scale = target.abs().clamp(min=1e-7)
    return 100.0 * ((target - predicted).abs() / scale).mean()
