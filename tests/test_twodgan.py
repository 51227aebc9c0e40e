"""The GAN of 2-D convolutions: published sizes, three paths, its own labels and optimizers."""

from __future__ import annotations

import pytest
import torch

from caloforge.geometry import load_detector
from caloforge.models import build_model, published_networks
from caloforge.models.twodgan import TwoDGAN
from caloforge.models.twodgan.networks import BACK, TURNED, PlanarGenerator
from caloforge.showers import Showers
from gan_cases import Recorder, batch_of, prepared
from helpers import lcd_showers

SMALL = 0.1


@pytest.fixture(scope="module")
def sample() -> Showers:
    return lcd_showers(6)


def small(sample: Showers, **config: object) -> TwoDGAN:
    model = prepared("2dgan", sample, width=SMALL, **config)
    assert isinstance(model, TwoDGAN)
    return model


def test_parameter_counts_are_those_of_the_public_code() -> None:
    """Layer by layer: dense, three paths, the last convolution; batch norms count twice."""
    path = 5 * 32 * 25 + 2 * 32
    path += 32 * 64 * 25 + 64 + 64 * 64 * 25 + 2 * 64
    path += 64 * 64 * 25 + 64 + 64 * 64 * 64 + 2 * 64
    path += 64 * 64 * 25 + 2 * 64 + 64 * 32 * 16 + 2 * 32
    path += 32 * 32 * 9 + 2 * 32 + 32 * 25 * 4 + 2 * 25
    generator = 201 * 125 + 3 * path + 75 * 25 * 9
    path = 25 * 64 * 64 + 2 * 64 + 64 * 32 * 36 + 2 * 32
    path += 32 * 32 * (25 + 16 + 9) + 3 * 2 * 32 + 32 * 9 * 9 + 2 * 9
    discriminator = 3 * path + (3 * 729 + 1) * 10 + 2 * 10 + 2 * 11
    assert (generator, discriminator) == (2_053_446, 712_888)
    assert published_networks("2dgan") == {"generator": generator, "discriminator": discriminator}


def test_a_fifth_of_the_filters_is_a_sixth_of_3dgan() -> None:
    with torch.device("meta"):
        model = build_model("2dgan", load_detector("lcd-ecal-25"), {"width": 0.22})
    assert 872_808 / model.networks()["generator"] == pytest.approx(6.0, abs=0.2)


def test_axes_are_turned_and_turned_back() -> None:
    image = torch.rand(2, 3, 4, 5)
    seen = [image.permute(to) for to in TURNED]
    assert [tuple(way.shape[1:]) for way in seen] == [(3, 4, 5), (5, 3, 4), (4, 5, 3)]
    assert seen[1][0, 4, 1, 2] == image[0, 1, 2, 4]  # the depth is the channels
    assert all(torch.equal(way.permute(b), image) for way, b in zip(seen, BACK, strict=True))


def test_inference_is_the_generator_with_running_means() -> None:
    torch.manual_seed(0)
    generator = PlanarGenerator(200, SMALL).eval()
    for norm in generator.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    latent = torch.randn(3, 200, dtype=torch.float64)
    with torch.no_grad():
        found = generator.infer(latent)
        expected = generator.double()(latent)
    assert found.shape == (3, 1, 25, 25, 25)
    assert expected.max() > 0
    assert torch.allclose(found.float(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("real", "label"), [(True, 0.9), (False, 0.0)])
def test_labels_are_soft_and_flips_are_hard(
    sample: Showers, monkeypatch: pytest.MonkeyPatch, real: bool, label: float
) -> None:
    """With logit b the cross entropy is softplus(b) - label b: a flip moves it by what it turns."""
    torch.manual_seed(0)
    n, logit = 5000, 8.0
    model = small(sample)
    heads = torch.full((n,), logit), torch.ones(n), torch.ones(n)
    monkeypatch.setattr(model.discriminator, "forward", lambda _: heads)
    ones = torch.ones(n)
    _, calm = model._judge(ones, ones, ones, real=real, flip=False)
    assert calm["real_or_fake"].item() == pytest.approx(logit * (1 - label), rel=1e-3)
    _, noisy = model._judge(ones, ones, ones, real=real)
    step = label if real else -1.0
    share = (noisy["real_or_fake"] - calm["real_or_fake"]).item() / logit / step
    assert share == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / n) ** 0.5)


def test_losses_and_rates_are_the_published_ones(sample: Showers) -> None:
    model = small(sample)
    assert (model.real_weight, *(head.weight for head in model.heads)) == (6.0, 0.2, 0.1)
    assert model.flips_for_generator
    optimizers = model.optimizers()
    rates = {name: o.param_groups[0]["lr"] for name, o in optimizers.items()}
    assert rates == {"discriminator": 1e-4, "generator": 5e-4}
    assert all(isinstance(o, torch.optim.Adam) for o in optimizers.values())
    one_gev = torch.tensor([1000.0])
    assert model.scaling.forward(one_gev).item() == 1.0


def test_the_last_relu_comes_in_after_the_first_steps(
    sample: Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(sample, linear_steps=1)
    lowest: list[float] = []
    judge = model._judge

    def spy(image: torch.Tensor, *targets: torch.Tensor, **options: bool) -> object:
        lowest.append(float(image.detach().min()))
        return judge(image, *targets, **options)

    monkeypatch.setattr(model, "_judge", spy)
    for _ in range(2):
        model.training_step(batch_of(model, sample), Recorder(model))
    first, second = lowest[:4], lowest[4:]  # one real batch and three of fakes in each step
    assert max(first[1:]) < 0
    assert min(second) == 0
    assert model.generator.rectified
    assert int(model.done) == 2
