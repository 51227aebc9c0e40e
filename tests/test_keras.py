"""The portability traps between Keras and torch, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from caloforge.models import keras


def test_leaky_slope_is_a_third_not_a_hundredth() -> None:
    assert keras.LeakyReLU()(torch.tensor([-1.0])).item() == pytest.approx(-0.3)


def test_even_kernels_pad_one_more_behind() -> None:
    padded = keras.SamePad3d((6, 6, 8))(torch.ones(1, 1, 7, 7, 8))
    assert padded.shape == (1, 1, 12, 12, 15)
    along_z = padded[0, 0, 4, 4]
    assert along_z.nonzero().flatten().tolist() == list(range(3, 11))  # 3 in front, 4 behind
    along_x = padded[0, 0, :, 4, 5]
    assert along_x.nonzero().flatten().tolist() == list(range(2, 9))  # 2 in front, 3 behind


def test_odd_kernels_pad_evenly() -> None:
    assert keras.SamePad3d((5, 5, 5)).padding == [2, 2, 2, 2, 2, 2]


def test_zero_padding_follows_the_axes() -> None:
    assert keras.ZeroPad3d((1, 0, 3))(torch.ones(1, 1, 2, 2, 2)).shape == (1, 1, 4, 2, 8)


def test_upsampling_repeats_voxels() -> None:
    image = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    larger = keras.UpSampling3D((2, 1, 3))(image)[0, 0].numpy()
    expected = image[0, 0].numpy().repeat(2, axis=0).repeat(3, axis=2)
    assert np.array_equal(larger, expected)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 3), (5, 2), (4, 2)])
def test_a_transposed_convolution_spreads_as_tensorflow_does(kernel: int, stride: int) -> None:
    """The voxel q feeds output q * stride + i - front, front being the smaller half (SAME)."""
    layer = keras.ConvTranspose2d(1, 1, kernel, stride)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, kernel * kernel + 1).reshape(1, 1, kernel, kernel))
        layer.bias.zero_()  # type: ignore[union-attr]
    image = torch.rand(1, 1, 4, 3)
    expected = np.zeros((4 * stride, 3 * stride))
    front = (kernel - stride) // 2
    for x, y, i, j in np.ndindex(4, 3, kernel, kernel):
        to = x * stride + i - front, y * stride + j - front
        if 0 <= to[0] < expected.shape[0] and 0 <= to[1] < expected.shape[1]:
            expected[to] += image[0, 0, x, y].item() * layer.weight[0, 0, i, j].item()
    assert layer(image)[0, 0].detach().numpy() == pytest.approx(expected, rel=1e-5)


def test_batch_norm_keeps_99_percent() -> None:
    layer = keras.batch_norm(1)
    layer.train()
    layer(torch.full((4, 1, 2, 2, 2), 10.0))
    assert layer.running_mean is not None
    assert layer.running_mean.item() == pytest.approx(0.1)
    assert layer.eps == 1e-3


def test_rmsprop_has_the_keras_constants() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = keras.rmsprop([weight])
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    # keras: v = 0.9 * 0 + 0.1 * g^2; w -= 1e-3 * g / (sqrt(v) + 1e-7)
    assert weight.item() == pytest.approx(1.0 - 1e-3 * 2.0 / (np.sqrt(0.4) + 1e-7), rel=1e-6)


def test_mape_divides_by_the_target() -> None:
    target, predicted = torch.tensor([1.0, 10.0]), torch.tensor([2.0, 5.0])
    value = keras.mean_absolute_percentage_error(target, predicted)
    assert value.item() == pytest.approx(100 * (1.0 + 0.5) / 2)


def test_mape_refuses_to_broadcast() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        keras.mean_absolute_percentage_error(torch.ones(4, 1, 1), torch.ones(4, 1))


def test_mape_of_a_zero_target_is_finite() -> None:
    predicted = torch.tensor([1.0], requires_grad=True)
    keras.mean_absolute_percentage_error(torch.zeros(1), predicted).backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()


@pytest.mark.parametrize("how", ["glorot_uniform", "glorot_normal", "he_uniform"])
def test_initial_weights_have_the_keras_spread(how: keras.Initializer) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv3d(8, 16, (5, 5, 5))
    keras.initialise([layer], how)
    fan_in, fan_out = 8 * 125, 16 * 125
    variance = {
        "glorot_uniform": 2 / (fan_in + fan_out),
        "glorot_normal": 2 / (fan_in + fan_out),
        "he_uniform": 2 / fan_in,
    }[how]
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    assert layer.bias is not None
    assert (layer.bias == 0).all()


def test_dropout_keeps_the_mean_and_the_rate() -> None:
    torch.manual_seed(0)
    layer = keras.Dropout(0.2)
    ones = torch.ones(3, 5, 101, 7, 11).to(memory_format=torch.channels_last_3d)
    dropped = layer(ones)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    n = ones.numel()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=4 * (0.16 / n) ** 0.5)
    layer.eval()
    assert layer(ones) is ones


def test_dropout_treats_neighbours_independently() -> None:
    torch.manual_seed(1)
    dropped = keras.Dropout(0.5)(torch.ones(200_000)) > 0
    for lag in (1, 2, 3, 4, 8):
        both = (dropped[lag:] & dropped[:-lag]).float().mean().item()
        assert both == pytest.approx(0.25, abs=0.005)


def test_dropout_gradient_is_its_mask() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = keras.Dropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_what_is_repeatable_on_gpus_gives_the_same_numbers() -> None:
    x = torch.randn(2, 3, 5, 4, 7, dtype=torch.float64, requires_grad=True)
    for ours, torchs in (
        (keras.repeat_voxels(x, (2.0, 3.0, 1.0)), F.interpolate(x, scale_factor=[2.0, 3.0, 1.0])),
        (keras.block_means(x, 2), F.avg_pool3d(x, 2)),
    ):
        assert torch.allclose(ours, torchs, rtol=1e-14, atol=1e-15)
        weight = torch.randn(ours.shape, dtype=torch.float64)
        first, second = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, torchs))
        assert torch.allclose(first, second, rtol=1e-13, atol=1e-15)
    assert torch.equal(keras.AveragePooling3D(2)(x), F.avg_pool3d(x, 2))
