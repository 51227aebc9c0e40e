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

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from math import prod
from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from caloforge.models.keras import (
    LEAKY_SLOPE,
    ConvTranspose2d,
    Dropout,
    LeakyReLU,
    SamePad2d,
    SamePad3d,
    UpSampling3D,
    ZeroPad3d,
)

Triple = tuple[int, int, int]
Sides = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

NO_UPSAMPLING: Triple = (1, 1, 1)
NO_PADDING: Sides = ((0, 0), (0, 0), (0, 0))

WIDE = 1 << 20
"""A neighbourhood of more numbers than this per image is not laid out as one matrix."""

RUN = 2
"""So many neighbours along z share one row of the matrix then."""


class _Axis:
    """One axis of a convolution that makes ``factor`` output positions of every coarse voxel.

    Output position ``q * factor + phase`` sees, with tap i, the coarse voxel
    ``q + offsets[phase][i]``, or none; ``first .. first + reach - 1`` are these offsets.
    """

    def __init__(self, offsets: list[list[int | None]], size: int, out: int) -> None:
        seen = [offset for row in offsets for offset in row if offset is not None]
        self.first = min(seen)
        self.reach = max(seen) - self.first + 1
        self.out = out
        self.blocks = -(-out // len(offsets))
        self.before = -self.first
        self.after = max(0, self.blocks - 1 + self.first + self.reach - size)
        select = torch.zeros(len(offsets), self.reach, len(offsets[0]), dtype=torch.float64)
        for r, row in enumerate(offsets):
            for i, offset in enumerate(row):
                if offset is not None:
                    select[r, offset - self.first, i] = 1.0
        self.select = select
        """(phase, offset, tap): 1 where the tap of that phase sees that offset."""


def _upsampled(size: int, factor: int, sides: tuple[int, int], kernel: int) -> _Axis:
    """Upsample by ``factor``, pad by ``sides``, convolve with ``kernel`` taps."""
    front, back = sides
    offsets: list[list[int | None]] = [
        [(r + i - front) // factor for i in range(kernel)] for r in range(factor)
    ]
    return _Axis(offsets, size, size * factor + front + back - kernel + 1)


def _transposed(size: int, stride: int, front: int, kernel: int) -> _Axis:
    """A transposed convolution, ``front`` positions cut in front, ``size * stride`` left."""
    offsets: list[list[int | None]] = [
        [None if (r + front - i) % stride else (r + front - i) // stride for i in range(kernel)]
        for r in range(stride)
    ]
    return _Axis(offsets, size, size * stride)


def convolve(
    image: torch.Tensor,
    layer: nn.Conv2d | nn.Conv3d,
    factor: Triple = NO_UPSAMPLING,
    sides: Sides = NO_PADDING,
) -> torch.Tensor:
    """Upsample, pad with zeros and convolve: (B, X, Y, Z, C) -> (B, X', Y', Z', C').

    ``sides`` are the zeros in front of and behind each axis of the upsampled image. Same result
    as the three operations one after the other; the dtype is the image's.
    """
    weight = layer.weight.to(image.dtype)
    weight = weight if weight.dim() == 5 else weight[..., None]
    kernel = cast(Triple, tuple(weight.shape[2:]))
    axes = [
        _upsampled(size, f, s, k)
        for size, f, s, k in zip(image.shape[1:4], factor, sides, kernel, strict=True)
    ]
    numbers = image.shape[-1] * prod(axis.reach * axis.blocks for axis in axes)
    if factor == NO_UPSAMPLING and numbers > WIDE:
        result = _shifted(image, weight, sides)
    else:
        result = _by_blocks(image, weight, axes)
    return result if layer.bias is None else result + layer.bias.to(image.dtype)


def convolve_transposed(image: torch.Tensor, layer: ConvTranspose2d) -> torch.Tensor:
    """(B, X, Y, 1, C) -> (B, stride * X, stride * Y, 1, C')."""
    weight = layer.weight.to(image.dtype).transpose(0, 1)[..., None]
    axes = [
        _transposed(size, stride, front, kernel)
        for size, stride, front, kernel in zip(
            image.shape[1:4], (*layer.stride, 1), (*layer.front, 0), weight.shape[2:], strict=True
        )
    ]
    assert layer.bias is not None
    return _by_blocks(image, weight, axes) + layer.bias.to(image.dtype)


def _by_blocks(image: torch.Tensor, weight: torch.Tensor, axes: list[_Axis]) -> torch.Tensor:
    """All phases of all coarse voxels in one matrix product."""
    product_ = _unfold(image, axes) @ _phase_matrix(weight, axes)
    blocks = [axis.blocks for axis in axes]
    factor = [len(axis.select) for axis in axes]
    phases = product_.reshape(-1, *blocks, *factor, weight.shape[0])
    fine = phases.permute(0, 1, 4, 2, 5, 3, 6, 7)
    whole = fine.reshape(-1, *(b * f for b, f in zip(blocks, factor, strict=True)), len(weight))
    return whole[:, : axes[0].out, : axes[1].out, : axes[2].out]


def _shifted(image: torch.Tensor, weight: torch.Tensor, sides: Sides) -> torch.Tensor:
    """One matrix product for each tap along x; the taps along y are shifts of its columns.

    The memory is a few times that of the image. Along z ``RUN`` positions are made at once.
    """
    kx, ky, kz = weight.shape[2:]
    run = RUN if kz > 1 else 1
    (x0, x1), (y0, y1), (z0, z1) = sides
    out = [
        n + a + b - k + 1
        for n, (a, b), k in zip(image.shape[1:4], sides, (kx, ky, kz), strict=True)
    ]
    blocks, reach = -(-out[2] // run), run + kz - 1
    more = blocks * run - out[2]
    image = nn.functional.pad(image, [0, 0, z0, z1 + more, y0, y1, x0, x1])
    stop = (blocks - 1) * run + 1
    columns = torch.cat([image[:, :, :, k : k + stop : run] for k in range(reach)], dim=-1)
    taps = torch.zeros(run, reach, kz, dtype=weight.dtype, device=weight.device)
    for r, k in product(range(run), range(kz)):
        taps[r, r + k, k] = 1.0
    matrix = torch.tensordot(weight, taps, dims=([4], [2]))  # (o, c, kx, ky, run, reach)
    matrix = matrix.permute(2, 5, 1, 3, 4, 0).reshape(kx, columns.shape[-1], -1)
    width = run * len(weight)

    def parts() -> Iterator[torch.Tensor]:
        for i in range(kx):
            made = columns[:, i : i + out[0]] @ matrix[i]
            for j in range(ky):
                yield made[:, :, j : j + out[1], :, j * width : (j + 1) * width]

    total = reduce(torch.add, parts())
    whole: torch.Tensor = total.reshape(-1, out[0], out[1], blocks * run, len(weight))
    return whole[:, :, :, : out[2]]


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
        elif isinstance(layer, SamePad2d | SamePad3d | ZeroPad3d):
            sides = _sides(layer.padding)
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            image = convolve(image, layer, factor, sides)
            factor, sides = NO_UPSAMPLING, NO_PADDING
        elif isinstance(layer, ConvTranspose2d):
            image = convolve_transposed(image, layer)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            image = normalise(image, layer)
        elif not isinstance(layer, Dropout):
            image = _activate(image, layer)
    return image


def _sides(padding: Sequence[int]) -> Sides:
    """The zeros of a padding layer, which names the last axis first."""
    pairs = [(padding[k], padding[k + 1]) for k in range(len(padding) - 2, -1, -2)]
    x, y, z = [*pairs, (0, 0)][:3]
    return x, y, z


def _activate(image: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    if isinstance(layer, nn.ReLU):
        return torch.relu(image)
    if isinstance(layer, LeakyReLU | nn.LeakyReLU):
        slope = LEAKY_SLOPE if isinstance(layer, LeakyReLU) else layer.negative_slope
        return torch.maximum(image, image * _constant(slope, image))
    raise TypeError(f"no matrix version of the layer {type(layer).__name__}")
