"""3DGAN: the published sizes, losses and procedure, and the defects of other ports avoided."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caloforge.errors import GeometryError
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.threedgan import ThreeDGAN
from caloforge.models.threedgan.adversarial import ENERGY_UNIT
from caloforge.preprocess import EnergyScaling, GridImage
from caloforge.showers import Showers
from gan_cases import Recorder, count
from helpers import lcd_showers


@pytest.fixture(scope="module")
def sample() -> Showers:
    return lcd_showers(8)


@pytest.fixture
def model(sample: Showers) -> ThreeDGAN:
    torch.manual_seed(0)
    built = build_model("3dgan", sample.calorimeter)
    assert isinstance(built, ThreeDGAN)
    built.prepare(TrainingSample.whole(sample))
    return built.train()


def batch(sample: Showers) -> TrainingBatch:
    condition = torch.from_numpy(sample.incident.energy[:4].astype(np.float32))[:, None]
    return TrainingBatch(condition, torch.from_numpy(sample[:4].dense()))


def test_parameter_counts_are_the_published_ones(model: ThreeDGAN) -> None:
    assert count(model.generator) == 872_808
    assert count(model.discriminator) == 73_402


def test_shapes(model: ThreeDGAN) -> None:
    image = model.generator(torch.randn(2, 200))
    assert image.shape == (2, 1, 25, 25, 25)
    assert (image >= 0).all()
    heads = model.discriminator(image)
    assert [head.shape for head in heads] == [(2,), (2,), (2,)]


def test_published_step_order(model: ThreeDGAN, sample: Showers) -> None:
    recorder = Recorder(model)
    model.training_step(batch(sample), recorder)
    assert recorder.names == ["discriminator", "discriminator", "generator", "generator"]


def test_fakes_are_detached_in_the_discriminator_step(model: ThreeDGAN, sample: Showers) -> None:
    recorder = Recorder(model)
    model.training_step(batch(sample), recorder)
    assert recorder.with_gradient[0] == {"discriminator"}
    assert recorder.with_gradient[1] == {"discriminator"}
    assert recorder.with_gradient[2] == {"generator"}
    assert all(p.requires_grad for p in model.parameters())


def test_sigmoid_is_applied_once(model: ThreeDGAN) -> None:
    """The head is a logit: the loss of an undecided discriminator is ln 2."""
    with torch.no_grad():
        model.discriminator.real.weight.zero_()
    images = torch.rand(4, 1, 25, 25, 25)
    _, parts = model._judge(images, torch.ones(4), torch.ones(4), real=True, flip=False)
    assert parts["real_or_fake"].item() == pytest.approx(np.log(2.0), rel=1e-6)
    with torch.no_grad():
        model.discriminator.real.bias.fill_(-20.0)
    _, parts = model._judge(images, torch.ones(4), torch.ones(4), real=True, flip=False)
    assert parts["real_or_fake"].item() == pytest.approx(20.0, rel=1e-4)  # not the 1.3 of sigmoids


def test_losses_are_weighted_as_published(model: ThreeDGAN) -> None:
    images = torch.rand(4, 1, 25, 25, 25)
    total, parts = model._judge(images, torch.ones(4), torch.ones(4), real=True, flip=False)
    expected = 2.0 * parts["real_or_fake"] + 0.1 * parts["energy"] + 0.1 * parts["sum"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_sum_loss_compares_shower_by_shower(model: ThreeDGAN) -> None:
    """Each image against its own expected sum, not every one against every other."""
    images = torch.ones(2, 1, 25, 25, 25) * torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1, 1)
    target = torch.tensor([1.0, 3.0]) * 25**3
    _, parts = model._judge(images, torch.ones(2), target, real=True)
    assert parts["sum"].item() == pytest.approx(0.0, abs=1e-3)


def test_label_flips_happen_at_the_published_rate(
    model: ThreeDGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    n, logit = 5000, 8.0

    def undecided(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return torch.full((n,), logit), torch.ones(n), torch.ones(n)

    monkeypatch.setattr(model.discriminator, "forward", undecided)
    ones = torch.ones(n)
    _, calm = model._judge(ones, ones, ones, real=True, flip=False)
    _, noisy = model._judge(ones, ones, ones, real=True)
    share = (noisy["real_or_fake"] - calm["real_or_fake"]).item() / logit
    assert share == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / n) ** 0.5)


def test_expected_sum_is_the_published_sampling_fraction(model: ThreeDGAN) -> None:
    energy = torch.tensor([0.1, 1.0, 5.0])  # 10, 100, 500 GeV
    visible_gev = model._expected_sum(energy) / model.config.scale
    fraction = visible_gev / (energy * ENERGY_UNIT / 1000.0)
    assert 100 * fraction.numpy() == pytest.approx([2.18, 2.02, 1.81], abs=0.01)


def test_an_empty_image_gives_finite_gradients(model: ThreeDGAN) -> None:
    image = torch.zeros(2, 1, 25, 25, 25, requires_grad=True)
    total, _ = model._judge(image, torch.ones(2), torch.ones(2), real=False)
    total.backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    gradients = [p.grad for p in model.discriminator.parameters() if p.grad is not None]
    assert len(gradients) == len(list(model.discriminator.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_the_latent_vector_is_multiplied_by_the_energy(model: ThreeDGAN) -> None:
    model.eval()
    noise = torch.randn(3, 200)
    condition = torch.tensor([[20e3], [50e3], [90e3]])
    with torch.no_grad():
        image = model.generator(condition / 1e5 * noise)
        expected = model.scaling.inverse(model.grid.to_cells(image))
        assert torch.allclose(model(condition, noise), expected, rtol=1e-3, atol=1e-4)
        other = model(2 * condition, noise / 2)
        assert torch.allclose(model(condition, noise), other, rtol=1e-6)


def test_inference_undoes_the_preprocessing(sample: Showers) -> None:
    """Real showers through the scaling and back are the same MeV in the same cells."""
    scaling, grid = EnergyScaling(factor=100.0, threshold=0.001), GridImage(sample.calorimeter)
    dense = torch.from_numpy(sample.dense())
    image = scaling.forward(grid.to_image(dense))
    assert image.sum().item() == pytest.approx(0.1 * dense.sum().item(), rel=1e-4)  # 100 x GeV
    back = scaling.inverse(grid.to_cells(image))
    kept = dense >= 0.0011
    assert torch.allclose(back[kept], dense[kept], rtol=2e-7)


def test_images_have_axes_x_y_depth(sample: Showers) -> None:
    calorimeter = sample.calorimeter
    cell = int(calorimeter.cell_index(np.array(5), np.array(3), np.array(4)))
    dense = torch.zeros(1, calorimeter.n_cells)
    dense[0, cell] = 1.0
    image = GridImage(calorimeter).to_image(dense)
    assert image[0, 0, 3, 4, 5] == 1.0
    assert torch.equal(GridImage(calorimeter).to_cells(image), dense)


def test_cells_below_a_kev_are_cut() -> None:
    scaling = EnergyScaling(factor=100.0, threshold=0.001)
    values = torch.tensor([0.0, 0.0009, 0.0011, 5.0])
    assert scaling.forward(values).tolist() == pytest.approx([0.0, 0.0, 0.00011, 0.5])


def test_fakes_cover_the_training_range(model: ThreeDGAN, sample: Showers) -> None:
    torch.manual_seed(0)
    energy, noise = model._draw(4000, torch.device("cpu"))
    low, high = sample.incident.energy.min() / 1e5, sample.incident.energy.max() / 1e5
    assert energy.min() >= low
    assert energy.max() <= high
    assert energy.mean().item() == pytest.approx((low + high) / 2, rel=0.03)
    assert noise.std().item() == pytest.approx(1.0, rel=0.01)
    published = build_model("3dgan", sample.calorimeter, {"fake_energy": [10.0, 500.0]})
    assert isinstance(published, ThreeDGAN)
    published.prepare(TrainingSample.whole(sample))
    assert published.fake_energy.tolist() == pytest.approx([0.1, 5.0])


def test_only_25_cubes_fit() -> None:
    with pytest.raises(GeometryError, match="lcd-ecal-25"):
        build_model("3dgan", load_detector("lcd-ecal"))


def test_fakes_for_the_discriminator_use_running_means(
    model: ThreeDGAN, sample: Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Keras' predict does: the generator is in inference mode there, in training mode later."""
    modes: list[bool] = []
    original = model.generator.forward

    def spy(latent: torch.Tensor) -> torch.Tensor:
        modes.append(model.generator.training)
        return original(latent)

    monkeypatch.setattr(model.generator, "forward", spy)
    model.training_step(batch(sample), Recorder(model))
    assert modes == [False, True, True]


def test_expected_sum_is_that_of_real_showers(electrons: Showers, model: ThreeDGAN) -> None:
    """Real and fake batches must ask the discriminator for the same sums."""
    grid = GridImage(electrons.calorimeter)
    real = model.scaling.forward(grid.to_image(torch.from_numpy(electrons[:200].dense())))
    energy = torch.from_numpy(electrons.incident.energy[:200] / ENERGY_UNIT).float()
    ratio = real.sum(dim=(1, 2, 3, 4)) / model._expected_sum(energy)
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.03)
