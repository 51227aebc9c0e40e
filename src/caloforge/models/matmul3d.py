"""Inference of 3-D convolutional networks with a few dense matrix products.

Two reasons. Speed: a convolution behind a nearest-neighbour upsampling sees the same voxel several
times; on the coarse image it is a smaller convolution for each sub-voxel position ("phase"), with
summed weights, and all phases together are one matrix product. Engines are fast at that, and slow
at asymmetric 3-D kernels. Precision: a ReLU network makes small cell energies as differences of
large numbers, so in float32 a cell of a few keV beside a core of 100 MeV is uncertain by parts in
a thousand and two engines, or two batch sizes, disagree there. In float64 they agree, and matrix
products, unlike 3-D convolutions, are there in float64 in every engine.

Images are (B, X, Y, Z, C), channels last.
"""

from __future__ import annotations

from itertools import product
from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from caloforge.models.keras import LEAKY_SLOPE, LeakyReLU, SamePad3d, UpSampling3D, ZeroPad3d

Triple = tuple[int, int, int]
Sides = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

NO_UPSAMPLING: Triple = (1, 1, 1)
NO_PADDING: Sides = ((0, 0), (0, 0), (0, 0))


class _Axis:
    """One axis of: upsample by ``factor``, pad by ``sides``, convolve with ``kernel`` taps.

    Output position ``q * factor + phase`` sees, with tap i, the coarse voxel
    ``q + (phase + i - front) // factor``; ``first .. first + reach - 1`` are these offsets.
    """

    def __init__(self, size: int, factor: int, sides: tuple[int, int], kernel: int) -> None:
        front, back = sides
        offsets = [[(r + i - front) // factor for i in range(kernel)] for r in range(factor)]
        self.first = min(min(row) for row in offsets)
        self.reach = max(max(row) for row in offsets) - self.first + 1
        self.out = size * factor + front + back - kernel + 1
        self.blocks = -(-self.out // factor)
        self.before = -self.first
        self.after = max(0, self.blocks - 1 + self.first + self.reach - size)
        select = torch.zeros(factor, self.reach, kernel, dtype=torch.float64)
        for (r, row), i in product(enumerate(offsets), range(kernel)):
            select[r, row[i] - self.first, i] = 1.0
        self.select = select
        """(phase, offset, tap): 1 where the tap of that phase sees that offset."""


def convolve(
    image: torch.Tensor,
    layer: nn.Conv3d,
    factor: Triple = NO_UPSAMPLING,
    sides: Sides = NO_PADDING,
) -> torch.Tensor:
    """Upsample, pad with zeros and convolve: (B, X, Y, Z, C) -> (B, X', Y', Z', C').

    ``sides`` are the zeros in front of and behind each axis of the upsampled image. Same result
    as the three operations one after the other; the dtype is the image's.
    """
    weight = layer.weight.to(image.dtype)
    kernel = cast(Triple, tuple(weight.shape[2:]))
    axes = [
        _Axis(size, f, s, k)
        for size, f, s, k in zip(image.shape[1:4], factor, sides, kernel, strict=True)
    ]
    columns = _unfold(image, axes)
    product_ = columns @ _phase_matrix(weight, axes)
    blocks = [axis.blocks for axis in axes]
    phases = product_.reshape(-1, *blocks, *factor, weight.shape[0])
    fine = phases.permute(0, 1, 4, 2, 5, 3, 6, 7)
    whole = fine.reshape(-1, *(b * f for b, f in zip(blocks, factor, strict=True)), len(weight))
    result = whole[:, : axes[0].out, : axes[1].out, : axes[2].out]
    return result if layer.bias is None else result + layer.bias.to(image.dtype)


def _unfold(image: torch.Tensor, axes: list[_Axis]) -> torch.Tensor:
    """The coarse neighbourhood of every block: (B, bx, by, bz, rx * ry * rz * C)."""
    x, y, z = axes
    around = [0, 0, z.before, z.after, y.before, y.after, x.before, x.after]
    image = nn.functional.pad(image, around)
    if torch.compiler.is_exporting():  # runtimes are fastest with slices and concatenations
        image = torch.cat([image[:, :, :, k : k + z.blocks] for k in range(z.reach)], dim=-1)
        image = torch.cat([image[:, :, j : j + y.blocks] for j in range(y.reach)], dim=-1)
        return torch.cat([image[:, i : i + x.blocks] for i in range(x.reach)], dim=-1)
    views = image.unfold(1, x.reach, 1).unfold(2, y.reach, 1).unfold(3, z.reach, 1)
    views = views[:, : x.blocks, : y.blocks, : z.blocks]  # (B, bx, by, bz, C, rx, ry, rz)
    return views.permute(0, 1, 2, 3, 5, 6, 7, 4).flatten(4)


def _phase_matrix(weight: torch.Tensor, axes: list[_Axis]) -> torch.Tensor:
    """Weights summed per phase and offset: (rx * ry * rz * C, fx * fy * fz * C')."""
    x, y, z = (axis.select.to(weight) for axis in axes)
    summed = torch.tensordot(weight, x, dims=([2], [2]))  # (o, c, ky, kz, fx, rx)
    summed = torch.tensordot(summed, y, dims=([2], [2]))  # (o, c, kz, fx, rx, fy, ry)
    summed = torch.tensordot(summed, z, dims=([2], [2]))  # (o, c, fx, rx, fy, ry, fz, rz)
    ordered = summed.permute(3, 5, 7, 1, 2, 4, 6, 0)
    rows = axes[0].reach * axes[1].reach * axes[2].reach * weight.shape[1]
    matrix: torch.Tensor = ordered.reshape(rows, -1)
    return matrix


def normalise(image: torch.Tensor, layer: _BatchNorm) -> torch.Tensor:
    """Batch normalisation of the last axis with the running statistics."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    mean, variance, weight, bias = (
        value.to(image.dtype)
        for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (image - mean) * (weight / torch.sqrt(variance + _constant(layer.eps, image))) + bias


def _constant(value: float, image: torch.Tensor) -> torch.Tensor:
    """A number in the image's dtype: exporters write bare Python numbers as float32."""
    return torch.tensor(value, dtype=image.dtype, device=image.device)


def run(layers: nn.Sequential, image: torch.Tensor) -> torch.Tensor:
    """Run a stack of our Keras-like layers on a (B, X, Y, Z, C) image, in the image's dtype.

    Raises:
        TypeError: a layer of another kind.
    """
    factor, sides = NO_UPSAMPLING, NO_PADDING
    for layer in layers:
        if isinstance(layer, UpSampling3D):
            factor = cast(Triple, tuple(int(f) for f in layer.factor))
        elif isinstance(layer, SamePad3d | ZeroPad3d):
            z0, z1, y0, y1, x0, x1 = layer.padding
            sides = ((x0, x1), (y0, y1), (z0, z1))
        elif isinstance(layer, nn.Conv3d):
            image = convolve(image, layer, factor, sides)
            factor, sides = NO_UPSAMPLING, NO_PADDING
        elif isinstance(layer, LeakyReLU):
            image = torch.maximum(image, image * _constant(LEAKY_SLOPE, image))
        elif isinstance(layer, nn.BatchNorm3d):
            image = normalise(image, layer)
        else:
            raise TypeError(f"no matrix version of the layer {type(layer).__name__}")
    return image
