"""Variable-angle 3DGAN: published sizes and losses, the measured angle against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caloforge.conversion import convert
from caloforge.geometry import Calorimeter
from caloforge.models import TrainingBatch
from caloforge.models.threedgan import ThreeDGANAngle
from caloforge.models.threedgan.bin_counts import BinCounts
from caloforge.models.threedgan.measured_angle import EMPTY, MeasuredAngle
from caloforge.observables.single import measured_theta
from caloforge.preprocess import GridImage, PowerScaling
from caloforge.showers import Showers
from caloforge.store import open_showers
from gan_cases import Recorder, batch_of, count, cross_entropy, percentage, prepared
from helpers import SAMPLES, small_calorimeter


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Showers:
    """Geant4 electrons at an angle."""
    path = tmp_path_factory.mktemp("angle") / "angle.h5"
    convert(SAMPLES / "electrons_angle.h5", path)
    return open_showers(path).read()


@pytest.fixture(scope="module")
def model(sample: Showers) -> ThreeDGANAngle:
    built = prepared("3dgan-angle", sample)
    assert isinstance(built, ThreeDGANAngle)
    return built


@pytest.fixture(scope="module")
def images(model: ThreeDGANAngle, sample: Showers) -> torch.Tensor:
    """Four showers as the discriminator sees them."""
    return model._real(batch_of(model, sample))[0]


def test_parameter_counts_are_the_published_ones(model: ThreeDGANAngle) -> None:
    """Trainable as Keras prints it: batch normalisation's statistics do not count."""
    assert count(model.generator) == 1_364_983
    assert count(model.discriminator) == 87_354
    statistics = {
        name: sum(v.numel() for key, v in network.state_dict().items() if "running_" in key)
        for name, network in (("generator", model.generator), ("d", model.discriminator))
    }
    assert statistics == {"generator": 2 * (8 + 4 * 6), "d": 2 * 3 * 8}


def test_shapes(model: ThreeDGANAngle, images: torch.Tensor) -> None:
    assert images.shape == (4, 1, 51, 51, 25)
    assert model.latent.size == 254
    assert model.condition_columns == ("energy", "theta")
    heads = model.discriminator(images)
    assert [head.shape for head in heads] == [(4,), (4,), (4,), (4,)]


def test_inference_is_the_generator_with_running_means(model: ThreeDGANAngle) -> None:
    generator = model.generator
    latent = torch.randn(2, 256, dtype=torch.float64)
    for norm in generator.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            assert norm.eps == 1e-6
            torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    with torch.no_grad():
        found = generator.infer(latent)
        expected = generator.eval().double()(latent)
    generator.float().train()
    assert found.shape == (2, 1, 51, 51, 25)
    assert expected.max() > 0
    assert torch.allclose(found.float(), expected, rtol=1e-5, atol=1e-6)


# ----------------------------------------------------------------- losses and step


def test_losses_are_the_published_ones(
    model: ThreeDGANAngle, images: torch.Tensor, sample: Showers
) -> None:
    """Worked out with NumPy from the images and the two learned heads."""
    model.eval()
    logit, energy = (v.detach().numpy() for v in model.discriminator(images)[:2])
    wanted = np.array([0.3, 0.5, 0.7, 0.9]), np.array([1.2, 1.4, 1.6, 1.8]), np.full(4, 50.0)
    targets = [torch.from_numpy(values).float() for values in wanted]
    total, parts = model._judge(images, *targets, real=False, flip=False)
    model.train()
    angle = measured_theta(sample[:4])
    cells = images.double().numpy() ** (1 / 0.85)
    expected = {
        "real_or_fake": cross_entropy(logit, 0.0),
        "energy": percentage(wanted[0], energy),
        "angle": float(np.abs(wanted[1] - angle).mean()),
        "sum": percentage(wanted[2], cells.sum(axis=(1, 2, 3, 4))),
    }
    assert list(parts) == list(expected)
    for name, value in expected.items():
        assert parts[name].item() == pytest.approx(value, rel=1e-5), name
    weighted = np.dot([3, 0.1, 25, 0.1], list(expected.values()))
    assert total.item() == pytest.approx(weighted, rel=1e-5)


def test_real_showers_enter_with_their_energy_angle_and_sum(
    model: ThreeDGANAngle, sample: Showers
) -> None:
    image, (energy, theta, total) = model._real(batch_of(model, sample))
    dense = sample[:4].dense()
    assert energy.numpy() == pytest.approx(sample.incident.energy[:4] / 1e5, rel=1e-6)
    assert theta.numpy() == pytest.approx(sample.incident["theta"][:4], rel=1e-6)
    assert total.numpy() == pytest.approx(dense.sum(axis=1) / 20, rel=1e-4)  # 50 x GeV
    assert image.max().item() == pytest.approx((dense[:4].max() / 20) ** 0.85, rel=1e-5)


def test_fakes_are_asked_for_what_the_paired_showers_are(
    model: ThreeDGANAngle, sample: Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents: list[torch.Tensor] = []
    asked: list[tuple[torch.Tensor, ...]] = []

    def generate(latent: torch.Tensor) -> torch.Tensor:
        latents.append(latent)
        return latent.sum() * torch.ones(len(latent), 1, 51, 51, 25)

    def judge(image: torch.Tensor, *targets: torch.Tensor, **_: bool) -> tuple[object, object]:
        asked.append(targets)
        return image.sum(), {}

    monkeypatch.setattr(model.generator, "forward", generate)
    monkeypatch.setattr(model, "_judge", judge)
    batch = batch_of(model, sample)
    model.training_step(batch, lambda *_: None)
    given = torch.stack([batch.condition[:, 0] / 1e5, batch.condition[:, 1]], dim=1)
    assert [tuple(latent.shape) for latent in latents] == 3 * [(4, 256)]
    assert all(torch.equal(latent[:, :2], given) for latent in latents)
    assert not torch.equal(latents[0], latents[1])  # other noise
    assert all(torch.equal(a, b) for fake in asked[1:] for a, b in zip(asked[0], fake, strict=True))


def test_showers_with_next_to_nothing_are_left_out(
    model: ThreeDGANAngle, sample: Showers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def note(batch: TrainingBatch) -> tuple[()]:
        seen.append(len(batch.energy))
        return ()

    monkeypatch.setattr(model, "_real", note)
    batch = batch_of(model, sample)
    batch.energy[1] *= 199.0 / batch.energy[1].sum()  # MeV
    batch.energy[2] *= 201.0 / batch.energy[2].sum()
    with pytest.raises(ValueError, match="unpack"):
        model.training_step(batch, lambda *_: None)
    batch.energy.mul_(1e-6)
    with pytest.raises(ValueError, match="unpack"):
        model.training_step(batch, lambda *_: None)
    assert seen == [3, 4]  # without the second; all, where none is left


def test_the_power_goes_and_comes_back() -> None:
    scaling = PowerScaling(factor=50.0, power=0.85, threshold=0.001)
    energy = torch.tensor([0.0, 0.0009, 20.0, 40.0])
    scaled = scaling.forward(energy)
    assert scaled.tolist() == pytest.approx([0.0, 0.0, 1.0, 2.0**0.85])
    assert scaling.inverse(scaled).tolist() == pytest.approx([0.0, 0.0, 20.0, 40.0], rel=1e-6)
    assert scaling.inverse(torch.tensor([1e-5])).tolist() == [0.0]  # below 1 keV


# ----------------------------------------------------------------- measured angle


def by_the_formula(calorimeter: Calorimeter, dense: np.ndarray) -> float:
    """The measured angle of one shower (n_cells,), layer by layer, in plain NumPy."""
    x, y, z = calorimeter.cell_positions.T
    ref = [np.average(axis, weights=dense) for axis in (x, y, z)]
    total = weights = 0.0
    for k in range(calorimeter.n_layers):
        here = np.where(calorimeter.cell_layer == k, dense, 0.0)
        if here.sum() == 0:
            continue
        u, v, w = (np.average(axis, weights=here) for axis in (y, x, z))
        run = np.hypot(u - ref[1], w - ref[2])
        if run < 1e-6:
            continue
        m = (v - ref[0]) / run * (-1 if w < ref[2] else 1)
        total += (k + 0.5) * (np.pi / 2 - np.arctan(m))
        weights += k + 0.5
    return total / weights


def image_of(calorimeter: Calorimeter, dense: np.ndarray) -> torch.Tensor:
    """As the discriminator sees it: our y is the first axis."""
    return GridImage(calorimeter).to_image(torch.from_numpy(dense)).transpose(2, 3)


def on_a_line(calorimeter: Calorimeter, cells: list[tuple[int, int, int]]) -> np.ndarray:
    """1 MeV in each of the (layer, i, j) of one shower."""
    dense = np.zeros((1, calorimeter.n_cells), np.float32)
    for cell in cells:
        dense[0, int(calorimeter.cell_index(*map(np.array, cell)))] = 1.0
    return dense


@pytest.mark.parametrize(
    ("cells", "degrees"),
    [
        ([(0, 2, 2), (2, 3, 2), (4, 4, 2)], 45.0),  # one cell of 10 mm in x every 10 mm of depth
        ([(0, 4, 2), (2, 3, 2), (4, 2, 2)], 135.0),
        ([(0, 2, 2), (2, 2, 3), (4, 2, 4)], 90.0),  # it tilts along y
        ([(0, 1, 2), (3, 1, 2)], 90.0),
        ([(0, 0, 2), (2, 2, 2), (4, 4, 2)], np.degrees(np.arctan(0.5))),
    ],
)
def test_an_inclined_line(cells: list[tuple[int, int, int]], degrees: float) -> None:
    calorimeter = small_calorimeter(layers=5)
    dense = on_a_line(calorimeter, cells)
    found = MeasuredAngle(calorimeter)(image_of(calorimeter, dense)).numpy()
    assert np.degrees(found) == pytest.approx([degrees], abs=1e-4)
    assert by_the_formula(calorimeter, dense[0]) == pytest.approx(found[0], abs=1e-5)


def test_any_shower_is_measured_by_the_formula() -> None:
    calorimeter = small_calorimeter(layers=6)
    rng = np.random.default_rng(0)
    dense = rng.exponential(size=(5, calorimeter.n_cells)).astype(np.float32)
    dense *= rng.random(dense.shape) < 0.1
    found = MeasuredAngle(calorimeter)(image_of(calorimeter, dense)).numpy()
    expected = [by_the_formula(calorimeter, shower) for shower in dense]
    assert found == pytest.approx(expected, rel=1e-5)


def test_geant4_showers_show_their_particles_angle(
    model: ThreeDGANAngle, images: torch.Tensor, sample: Showers
) -> None:
    dense = image_of(sample.calorimeter, sample.dense())
    found = model.discriminator.angle(dense).numpy()
    assert found == pytest.approx(measured_theta(sample), abs=1e-5)
    error = found - sample.incident["theta"]
    assert abs(error.mean()) < 3 * error.std() / len(error) ** 0.5
    assert error.std() < 0.08
    assert model.discriminator(images)[2].detach().numpy() == pytest.approx(found[:4], abs=1e-5)


def test_the_angle_has_the_gradient_of_finite_differences() -> None:
    calorimeter = small_calorimeter(n=3, layers=4)
    measure = MeasuredAngle(calorimeter).double()
    torch.manual_seed(2)
    image = torch.rand(2, 1, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(measure, (image,))


@pytest.mark.parametrize("cells", [[], [(0, 2, 2)], [(1, 0, 0), (1, 4, 4)]])
def test_an_image_without_an_angle_has_no_nan(cells: list[tuple[int, int, int]]) -> None:
    """Empty, in one cell, in one plane; also where other planes hold hardly anything."""
    calorimeter = small_calorimeter()
    measure = MeasuredAngle(calorimeter)
    for haze in (0.0, 1e-30, 1e-12):
        image = image_of(calorimeter, on_a_line(calorimeter, cells) + np.float32(haze))
        image.requires_grad_(True)
        angle = measure(image)
        angle.sum().backward()
        assert image.grad is not None
        assert torch.isfinite(image.grad).all()
        assert angle.item() == EMPTY


# ----------------------------------------------------------------- counts of cells


def test_cells_are_counted_in_eight_bins(images: torch.Tensor) -> None:
    found = BinCounts(0.85)(images).detach().numpy()
    edges = np.array([0.05, 0.03, 0.02, 0.0125, 0.008, 0.003]) ** 0.85
    cells = images.numpy().reshape(4, -1)
    bounds = [-np.inf, 0.0, *np.sort(edges), np.inf]
    expected = np.array([np.histogram(-row, -np.array(bounds[::-1]))[0] for row in cells])
    assert np.array_equal(found, expected)
    assert found.sum() == 4 * 51 * 51 * 25


def test_counting_has_a_gradient_at_the_edges() -> None:
    """More energy in a cell just below an edge: more cells above it, fewer below."""
    bins = BinCounts(1.0)
    image = torch.tensor([0.0199, 1.0, 0.0]).reshape(1, 1, 3, 1, 1).requires_grad_(True)
    counts = bins(image)
    assert counts.tolist() == [[1, 0, 0, 1, 0, 0, 0, 1]]
    (more,) = torch.autograd.grad(counts[0, 2], image, retain_graph=True)
    (fewer,) = torch.autograd.grad(counts[0, 3], image, retain_graph=True)
    assert more.flatten()[0] > 0 > fewer.flatten()[0]
    assert more.flatten()[1:].abs().max() < 1e-3 * more.flatten()[0]
    assert bins.targets(image).tolist() == [[1, 1, 1, 1, 1, 1, 1, 1]]


def test_the_counts_are_a_loss_when_asked_for(sample: Showers) -> None:
    model = prepared("3dgan-angle", sample, bin_counts=True)
    assert [head.name for head in model.heads] == ["energy", "angle", "sum", "bins"]
    assert model.heads[-1].weight == 0.1
    image, targets = model._real(batch_of(model, sample, 2))
    _, parts = model._judge(image, *targets, real=True)
    found = np.stack([np.bincount(np.searchsorted(_ascending(), row), minlength=8)
                      for row in image.numpy().reshape(2, -1)])  # fmt: skip
    expected = percentage(np.maximum(found, 1), found)
    assert parts["bins"].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    recorder = Recorder(model)
    losses = model.training_step(batch_of(model, sample, 2), recorder)
    assert torch.isfinite(losses["generator/bins"])


def _ascending() -> np.ndarray:
    return np.array([0.0, 0.003, 0.008, 0.0125, 0.02, 0.03, 0.05]) ** 0.85
