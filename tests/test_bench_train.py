"""bench train: the plain port is the same training, and the model of scaling adds up by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from caloforge.bench.plain_3dgan import PlainThreeDGAN, loss_of
from caloforge.bench.scaling import WORLDS, Network, Step
from caloforge.bench.train import _images, _plain, _read_rate
from caloforge.errors import ConfigError
from caloforge.models import TrainingSample, build_model
from caloforge.models.threedgan.fixed import ThreeDGAN
from caloforge.store import write_showers
from helpers import lcd_showers


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def channels_first(weight: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Rows in the order (x, y, z, channel) -> (channel, x, y, z)."""
    return weight.reshape(*shape, -1).movedim(3, 0).reshape(weight.shape)


def with_weights_of(model: ThreeDGAN) -> PlainThreeDGAN:
    """The plain port with the same weights in its own order."""
    plain = PlainThreeDGAN()
    pairs = ((plain.generator, model.generator), (plain.discriminator, model.discriminator))
    with torch.no_grad():
        for mine, other in pairs:
            parameters = zip(mine.parameters(), other.parameters(), strict=True)
            for (own, theirs), name in zip(parameters, dict(other.named_parameters()), strict=True):
                value: torch.Tensor = theirs
                if name.startswith("dense"):
                    value = channels_first(theirs, (7, 7, 8, 8))
                elif name in ("real.weight", "energy.weight"):
                    value = channels_first(theirs[0], (11, 11, 11, 8))[None]
                own.copy_(value)
    return plain


def test_the_plain_port_is_3dgan(tmp_path: Path) -> None:
    showers = lcd_showers(4)
    model = build_model("3dgan", showers.calorimeter)
    assert isinstance(model, ThreeDGAN)
    model.prepare(TrainingSample.whole(showers))
    plain = with_weights_of(model.train())
    assert count(plain.generator) == 872_808
    assert count(plain.discriminator) == 73_402
    latent = torch.randn(2, 200, dtype=torch.float64)
    mine, theirs = (own.generator.double()(latent).float() for own in (plain, model))
    assert torch.allclose(mine, theirs, rtol=1e-6, atol=1e-7)
    image, energy = next(_images(write_showers(tmp_path / "a.h5", showers), 2))
    for network in (plain.discriminator, model.discriminator):
        network.eval()  # no dropout
    total = image.sum(dim=(2, 3, 4))
    loss = loss_of(plain.discriminator(image), torch.ones(2, 1), energy, total)
    of_model, _ = model._judge(image, energy[:, 0], total[:, 0], real=True, flip=False)
    assert loss.item() == pytest.approx(of_model.item(), rel=1e-4)
    assert image.sum().item() == pytest.approx(
        0.1 * showers[:2].dense().sum(), rel=1e-5
    )  # GeV x 100


def test_the_plain_port_trains(tmp_path: Path) -> None:
    data = write_showers(tmp_path / "a.h5", lcd_showers(3))
    assert _plain(data, 1, 1)() > 0
    with pytest.raises(ConfigError, match="--batch 4"):
        next(_images(data, 4))
    assert _read_rate(write_showers(tmp_path / "b.h5", lcd_showers(70)), 8) > 100


def test_a_network_is_found_again_from_its_times() -> None:
    true = Network(latency=20e-6, bandwidth=3e9)
    sizes = [4, 1 << 14, 1 << 20, 1 << 24]
    ring = [2 * 3 * (20e-6 + n / 4 / 3e9) for n in sizes]  # four processes
    found = Network.fitted(sizes, ring, 4)
    assert found.latency == pytest.approx(true.latency, rel=1e-6)
    assert found.bandwidth == pytest.approx(true.bandwidth, rel=1e-6)


def test_sums_take_the_faster_way() -> None:
    network = Network(latency=10e-6, bandwidth=10e9)
    assert network.seconds(1e6, 1) == 0.0
    assert network.seconds(8, 128) == pytest.approx(2 * 7 * (10e-6 + 8 / 10e9))  # tree
    assert network.seconds(1e9, 8) == pytest.approx(2 * 7 * (10e-6 + 1e9 / 8 / 10e9))  # ring


def test_efficiency_by_hand() -> None:
    network = Network(latency=0.0, bandwidth=1e9)
    step = Step(seconds=0.1, messages=(10_000_000,), showers=10, read_rate=1e5)
    summed = 2 * 127 / 128 * 0.01  # the ring moves nearly twice the bytes
    assert step.efficiency(network, 128) == pytest.approx(0.1 / (0.1 + summed))
    assert step.efficiency(network, 1) == 1.0
    slow = Step(seconds=0.1, messages=(), showers=10, read_rate=1e3)  # 128 x 10 showers take 1.28 s
    assert slow.efficiency(network, 128) == pytest.approx(0.1 / 1.28)
    falling = [step.efficiency(network, world) for world in WORLDS]
    assert np.all(np.diff(falling) < 0)
