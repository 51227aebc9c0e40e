"""Keras-like 2-D layers: against loops over positions, in every precision, with Keras' padding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from caloforge.models.keras2d import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    LeakyReLU,
    UpSampling2D,
    ZeroPadding2D,
)
from caloforge.models.locally_connected import LocallyConnected2D


def random_image(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape))


@pytest.mark.parametrize("strides", [(1, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (2, 3)])
def test_every_position_has_its_own_kernel_and_bias(
    kernel: tuple[int, int], strides: tuple[int, int]
) -> None:
    layer = LocallyConnected2D((5, 8), (3, 4), kernel, strides).double()
    image = random_image(2, 5, 8, 3)
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(random_image(*layer.bias.shape))
        found = layer(image).numpy()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    x, y = (5 - kernel[0]) // strides[0] + 1, (8 - kernel[1]) // strides[1] + 1
    assert found.shape == (2, x, y, 4)
    for i in range(x):
        for j in range(y):
            a, b = i * strides[0], j * strides[1]
            seen = image.numpy()[:, a : a + kernel[0], b : b + kernel[1]].reshape(2, -1)
            expected = seen @ weight[i * y + j] + bias[i, j]
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-12)


def test_parameters_of_a_locally_connected_layer() -> None:
    layer = LocallyConnected2D((5, 98), (16, 6), (2, 2))
    assert sum(p.numel() for p in layer.parameters()) == 4 * 97 * (2 * 2 * 16 * 6 + 6)
    bare = LocallyConnected2D((5, 98), (16, 6), (2, 2), bias=False)
    assert sum(p.numel() for p in bare.parameters()) == 4 * 97 * 2 * 2 * 16 * 6


def test_first_weights_count_positions_as_keras_does() -> None:
    torch.manual_seed(0)
    shape, channels = (12, 12), (4, 6)
    new = LocallyConnected2D(shape, channels, (3, 3), how="he_uniform").weight
    assert new.abs().max().item() == pytest.approx(math.sqrt(6 / (100 * 36)), rel=1e-2)
    old = LocallyConnected2D(shape, channels, (3, 3), how="he_uniform", which="keras1").weight
    assert old.abs().max().item() == pytest.approx(math.sqrt(6 / math.sqrt(100 * 36 * 6)), rel=1e-2)
    normal = LocallyConnected2D(shape, channels, (3, 3), how="glorot_normal").weight
    assert normal.std().item() == pytest.approx(math.sqrt(2 / (100 * 36 + 100 * 6)), rel=2e-2)


@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (5, 5), (2, 5)])
def test_same_padding_is_longer_behind(kernel: tuple[int, int]) -> None:
    layer = Conv2D((3, 4), kernel).double()
    image = random_image(2, 6, 7, 3)
    weight = layer.weight.reshape(*kernel, 3, 4).permute(3, 2, 0, 1)
    a, b = kernel
    front = ((a - 1) // 2, (b - 1) // 2)
    pads = [front[1], b - 1 - front[1], front[0], a - 1 - front[0]]
    padded = F.pad(image.permute(0, 3, 1, 2), pads)
    expected = F.conv2d(padded, weight, layer.bias).permute(0, 2, 3, 1)
    assert layer(image).shape == (2, 6, 7, 4)
    assert torch.allclose(layer(image), expected, rtol=1e-12)
    bare = Conv2D((3, 4), kernel, same=False)
    assert bare(image.float()).shape == (2, 7 - a, 8 - b, 4)


def test_normalisation_over_batch_and_positions() -> None:
    layer = BatchNormalization(3).double()
    image = 5.0 + 2.0 * random_image(4, 5, 6, 3)
    values = image.numpy().reshape(-1, 3)
    mean, variance = values.mean(axis=0), values.var(axis=0)
    expected = (image.numpy() - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(layer(image).detach().numpy(), expected, rtol=1e-10)
    assert layer.norm.running_mean is not None
    assert layer.norm.running_var is not None
    np.testing.assert_allclose(layer.norm.running_mean.numpy(), 0.01 * mean, rtol=1e-10)
    layer.eval()
    running = [layer.norm.running_mean.numpy(), layer.norm.running_var.numpy()]
    expected = (image.numpy() - running[0]) / np.sqrt(running[1] + 1e-3)
    np.testing.assert_allclose(layer(image).detach().numpy(), expected, rtol=1e-10)


def test_larger_and_smaller_images() -> None:
    image = random_image(2, 3, 8, 2)
    repeated = np.repeat(np.repeat(image.numpy(), 4, axis=1), 2, axis=2)
    assert np.array_equal(UpSampling2D((4, 2))(image).numpy(), repeated)
    means = image.numpy()[:, :, :6].reshape(2, 3, 1, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(AveragePooling2D((1, 3))(image).numpy(), means, rtol=1e-12)
    padded = ZeroPadding2D((1, 0), (2, 3))(image)
    assert padded.shape == (2, 6, 11, 2)
    assert torch.equal(padded[:, 1:4, :8], image)
    assert padded.sum().item() == pytest.approx(image.sum().item())


def test_leaky_slope_in_every_precision() -> None:
    values = [-2.0, 0.0, 3.0]
    for dtype in (torch.float32, torch.float64):
        made = LeakyReLU()(torch.tensor(values, dtype=dtype))
        assert made.tolist() == pytest.approx([-0.6, 0.0, 3.0])
