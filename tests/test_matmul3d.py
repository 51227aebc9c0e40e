"""Convolutions as matrix products give what convolutions give, in float64 to rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caloforge.models import keras, matmul3d
from caloforge.models.threedgan.fixed_networks import Generator

triples = st.tuples(*[st.integers(1, 3)] * 3)
kernels = st.tuples(*[st.integers(1, 6)] * 3)
paddings = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 3)


@settings(max_examples=60, deadline=None)
@given(kernel=kernels, factor=triples, sides=paddings, sizes=triples, bias=st.booleans())
def test_any_upsampled_padded_convolution(
    kernel: tuple[int, int, int],
    factor: tuple[int, int, int],
    sides: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    sizes: tuple[int, int, int],
    bias: bool,
) -> None:
    check_convolution(kernel, factor, sides, sizes, bias)


@settings(max_examples=40, deadline=None)
@given(kernel=kernels, sides=paddings, sizes=triples, bias=st.booleans())
def test_a_wide_convolution_goes_tap_by_tap(
    kernel: tuple[int, int, int],
    sides: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    sizes: tuple[int, int, int],
    bias: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul3d, "WIDE", 0)
        check_convolution(kernel, (1, 1, 1), sides, sizes, bias)


def check_convolution(
    kernel: tuple[int, int, int],
    factor: tuple[int, int, int],
    sides: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    sizes: tuple[int, int, int],
    bias: bool,
) -> None:
    shape = tuple(n + 3 for n in sizes)  # large enough for every kernel
    if any(n * f + a + b < k for n, f, (a, b), k in zip(shape, factor, sides, kernel, strict=True)):
        return
    torch.manual_seed(0)
    layer = nn.Conv3d(2, 3, kernel, bias=bias).double()
    image = torch.randn(2, 2, *shape, dtype=torch.float64)
    (x0, x1), (y0, y1), (z0, z1) = sides
    larger = keras.UpSampling3D(factor)(image)
    expected = layer(nn.functional.pad(larger, (z0, z1, y0, y1, x0, x1)))
    found = matmul3d.convolve(image.permute(0, 2, 3, 4, 1), layer, factor, sides)
    assert torch.allclose(found.permute(0, 4, 1, 2, 3), expected, rtol=1e-10, atol=1e-12)


def test_the_published_generator() -> None:
    torch.manual_seed(0)
    generator = Generator().eval()
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    latent = torch.randn(3, 200)
    with torch.no_grad():
        found = generator.infer(latent.double())
        expected = generator.double().forward(latent.double())
    assert found.shape == (3, 1, 25, 25, 25)
    assert torch.allclose(found, expected.double(), rtol=1e-5, atol=1e-6)  # forward ends in float32


def test_a_stack_of_2d_layers() -> None:
    """Every 2-D layer we know, even kernels and transposed convolutions of either stride."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        keras.SamePad2d((4, 4)),
        nn.Conv2d(5, 3, (4, 4), bias=False),
        keras.LeakyReLU(),
        keras.batch_norm_2d(3),
        keras.Dropout(0.2),
        keras.ConvTranspose2d(3, 4, 5, 3),
        nn.ReLU(),
        keras.ConvTranspose2d(4, 4, 5, 2),
        nn.LeakyReLU(0.01),
        nn.Conv2d(4, 2, (3, 2)),
    )
    layers = layers.double().eval()
    nn.init.uniform_(layers[3].running_mean, -0.2, 0.2)  # type: ignore[arg-type]
    nn.init.uniform_(layers[3].running_var, 0.5, 1.5)  # type: ignore[arg-type]
    image = torch.randn(2, 5, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = layers(image)
        found = matmul3d.run(layers, image.permute(0, 2, 3, 1)[:, :, :, None])
    assert expected.shape == (2, 2, 28, 35)
    found = found[:, :, :, 0].permute(0, 3, 1, 2)
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(TypeError, match="MaxPool3d"):
        matmul3d.run(nn.Sequential(nn.MaxPool3d(2)), torch.ones(1, 4, 4, 4, 1))
