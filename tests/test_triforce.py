"""Triforce's networks: sizes, inputs and loss, worked out independently, and what they learn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_any
from caloforge.models.predictors.triforce import TriforceDNN
from caloforge.models.predictors.triforce.inputs import ShowerInputs
from caloforge.models.predictors.triforce.model import TriforceModel
from caloforge.preprocess import BlockImages
from caloforge.showers import Incident, Showers
from helpers import random_showers, small_calorimeter
from particle_showers import CLASSES, particle_showers, two_windows

BOTH = "lcd-ecal+lcd-hcal"
PUBLISHED = {"classes": [211, 11], "targets": ["energy", "theta", "phi"]}
"""Two classes and three regressions, as in the public code: five outputs."""
OUTPUTS = 5


def parameters(kind: str, detector: str, **config: object) -> int:
    with torch.device("meta"):
        model = build_any(kind, load_detector(detector), {**PUBLISHED, **config})
    return sum(p.numel() for p in model.parameters())


def dense(*sizes: int) -> int:
    """Weights and biases of dense layers."""
    return sum((a + 1) * b for a, b in pairwise(sizes))


@pytest.mark.parametrize("neurons", [256, 512])
def test_size_of_the_dnn(neurons: int) -> None:
    """A linear layer on 25 x 25 x 25 and 11 x 11 x 60 cells and 4 scalars, then 4 hidden ones."""
    cells = 25 * 25 * 25 + 11 * 11 * 60
    expected = dense(cells + 4, *[neurons] * 5) + dense(neurons + 4, OUTPUTS)
    assert parameters("triforce-dnn", BOTH, neurons=neurons) == expected
    alone = expected - 11 * 11 * 60 * neurons
    assert parameters("triforce-dnn", "lcd-ecal", neurons=neurons) == alone
    assert parameters("triforce-dnn", "lcd-ecal-25", neurons=neurons) == alone
    whole = alone + (51 * 51 - 25 * 25) * 25 * neurons
    assert parameters("triforce-dnn", "lcd-ecal", neurons=neurons, window=0) == whole


def test_size_of_the_cnn() -> None:
    """ECAL 25 -> 22 -> 11 along every axis, HCAL (11, 11, 60) -> (10, 10, 55) -> (5, 5, 27)."""
    flat = 3 * 11**3 + 3 * 5 * 5 * 27 + 4
    kernels = 3 * (4**3 + 1) + 3 * (2 * 2 * 6 + 1)
    expected = kernels + dense(flat, *[512] * 4) + dense(516, OUTPUTS)
    assert parameters("triforce-cnn", BOTH) == expected


def unit(channels: int, filters: int, kernel: int) -> int:
    """A convolution with bias, and the two vectors of its batch normalisation."""
    return channels * filters * kernel**3 + 3 * filters


def inception(channels: int, one: int, r3: int, n3: int, r5: int, n5: int, pool: int) -> int:
    return (
        unit(channels, one, 1)
        + unit(channels, r3, 1)
        + unit(r3, n3, 3)
        + unit(channels, r5, 1)
        + unit(r5, n5, 3)
        + unit(n5, n5, 3)
        + unit(channels, pool, 1)
    )


def test_size_of_the_googlenet() -> None:
    """The published blocks with their published numbers of input channels."""
    trunk = (
        unit(1, 192, 3)
        + inception(192, 64, 96, 128, 16, 32, 32)
        + inception(256, 128, 128, 192, 32, 96, 64)
        + inception(480, 192, 96, 208, 16, 48, 64)
        + inception(512, 160, 112, 224, 24, 64, 64)
        + inception(512, 128, 128, 256, 24, 64, 64)
        + inception(512, 112, 144, 288, 32, 64, 64)
        + inception(528, 256, 160, 320, 32, 128, 128)
        + inception(832, 256, 160, 320, 32, 128, 128)
        + inception(832, 384, 192, 384, 48, 128, 128)
    )
    head = dense(1028, 1024) + dense(1028, OUTPUTS)
    assert parameters("triforce-googlenet", BOTH) == trunk + head
    wide = dense(50176 + 4, 1024) + dense(1028, OUTPUTS)  # 51 x 51: 7 x 7 x 1 are left
    assert parameters("triforce-googlenet", BOTH, window=51) == trunk + wide


@pytest.mark.parametrize(("window", "last"), [(51, (7, 7, 3)), (25, (3, 3, 3))])
def test_size_of_the_resnet(window: int, last: tuple[int, int, int]) -> None:
    """The published widths; the last convolution covers what is left of the image."""
    widths = [1, 32, 64, 96, 128]
    trunk = sum(27 * a * b + b for a, b in pairwise(widths))
    trunk += sum(8 * (27 * w * w + w) for w in (32, 64, 96))
    trunk += 128 * 192 * int(np.prod(last)) + 192
    head = dense(196, 192) + dense(196, OUTPUTS)
    assert parameters("triforce-resnet", BOTH, window=window) == trunk + head


# ------------------------------------------------------------------------- inputs


def test_inputs_are_windows_sums_and_angles() -> None:
    """Against NumPy: 50 x GeV, the central window, the axis fitted to the cells of the ECAL."""
    calorimeter = two_windows(9)
    showers = particle_showers(40, 4, calorimeter)
    showers = showers[showers.incident["pdg"] == 11][:5]  # the pions begin in the last layer
    made = ShowerInputs(calorimeter, 5, 50.0)(torch.from_numpy(showers.dense()))
    cells = showers.dense().astype(np.float64) * 50 / 1000
    ecal = cells[:, : 9**3].reshape(5, 9, 9, 9).transpose(0, 2, 3, 1)
    hcal = cells[:, 9**3 :].reshape(5, 8, 5, 5).transpose(0, 2, 3, 1)
    assert made.ecal.shape == (5, 1, 5, 5, 9)
    assert made.hcal is not None
    assert np.allclose(made.ecal[:, 0], ecal[:, 2:7, 2:7], rtol=1e-6)
    assert np.allclose(made.hcal[:, 0], hcal, rtol=1e-6)
    assert np.allclose(made.visible, cells.sum(axis=1), rtol=1e-6)
    assert np.allclose(made.scalars[:, 2], 0.01 * ecal.sum(axis=(1, 2, 3)), rtol=1e-5)
    assert np.allclose(made.scalars[:, 3], 0.01 * hcal.sum(axis=(1, 2, 3)), rtol=1e-5)
    position = calorimeter.cell_positions[: 9**3]
    for k in range(5):
        weight = np.sqrt(cells[k, : 9**3])
        line = np.polyfit(position[:, 2], position[:, 0], 1, w=weight)
        across = np.polyfit(position[:, 2], position[:, 1], 1, w=weight)
        assert float(made.slope[k, 0]) == pytest.approx(line[0], rel=1e-4)
        eta = -np.log(np.tan(np.arctan2(1.0, line[0]) / 2))
        assert float(made.scalars[k, 1]) == pytest.approx(10 * eta, rel=1e-4, abs=1e-4)
        assert float(made.scalars[k, 0]) == pytest.approx(10 * np.arctan(across[0]), abs=1e-3)


def test_one_window_has_no_energy_in_the_hcal() -> None:
    showers = random_showers(3)
    made = ShowerInputs(showers.calorimeter, 25, 50.0)(torch.from_numpy(showers.dense()))
    assert made.hcal is None
    assert made.ecal.shape == (3, 1, 5, 5, 4)
    assert (made.scalars[:, 3] == 0).all()


def test_images_follow_the_cell_numbers() -> None:
    calorimeter = two_windows(5)
    cells = torch.arange(calorimeter.n_cells)[None]
    front, back = BlockImages(calorimeter)(cells)
    cell = calorimeter.cell_index(np.array([3]), np.array([1]), np.array([4]))
    assert front[0, 0, 1, 4, 3] == cell[0]
    cell = calorimeter.cell_index(np.array([5 + 7]), np.array([2]), np.array([0]))
    assert back[0, 0, 2, 0, 7] == cell[0]


def test_calorimeters_that_do_not_fit_are_named() -> None:
    with pytest.raises(GeometryError, match="3 blocks"):
        build_any("triforce-dnn", load_detector("calogan-lar"))
    with pytest.raises(GeometryError, match=r"model\.window"):
        build_any("triforce-dnn", load_detector("lcd-ecal"), {"window": 24})
    flat = small_calorimeter(n=9, layers=2)
    for kind in ("triforce-cnn", "triforce-resnet"):
        with pytest.raises(GeometryError, match="too small"):
            build_any(kind, flat)
    grids = [CartesianGrid(nx=n, ny=n, dx=5.0, dy=5.0) for n in (9, 3)]
    layers = [Layer(z=5.0 * k, thickness=5.0, segmentation=grids[k // 5]) for k in range(10)]
    with pytest.raises(GeometryError, match="kernel"):
        build_any("triforce-cnn", Calorimeter(name="short", layers=tuple(layers)))


# --------------------------------------------------------------------------- loss


class Fixed(torch.nn.Module):
    """A network that says the same of every shower."""

    def __init__(self, said: list[list[float]]) -> None:
        super().__init__()
        self.said = torch.nn.Parameter(torch.tensor(said))

    def forward(self, _: object) -> torch.Tensor:
        return self.said


def one_step(model: TriforceModel, showers: Showers) -> tuple[float, dict[str, float]]:
    """The total that the optimizer would get, and the parts."""
    totals: list[float] = []

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        totals.append(loss.item())

    columns = [showers.incident[name] for name in model.condition_columns]
    condition = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    batch = TrainingBatch(condition, torch.from_numpy(showers.dense()))
    parts = model.training_step(batch, update)
    return totals[0], {name: float(value) for name, value in parts.items()}


def test_loss_and_values_against_numpy() -> None:
    """Two showers of one cell each; the second at 2 GeV, where ln E is below 1."""
    calorimeter = small_calorimeter()
    incident = Incident(
        {"energy": [50e3, 2e3], "pdg": [22, -11], "theta": [1.2, 1.9], "phi": [0.3, -0.2]}
    )
    cells = np.zeros((2, calorimeter.n_cells))
    cells[0, 12], cells[1, 37] = 900.0, 50.0  # MeV
    showers = Showers.from_dense(calorimeter, incident, cells)
    asked = {"classes": [11, 22, 111], "targets": ["energy", "theta", "phi"]}
    model = build_any("triforce-dnn", calorimeter, asked)
    assert isinstance(model, TriforceDNN)
    said = np.array([[0.5, 2.0, -1.0, 0.7, 0.9, -0.4], [1.0, 0.0, 0.3, -0.2, 3.5, 1.1]])
    model.network = Fixed(said.tolist())
    total, parts = one_step(model, showers)

    logits = said[:, :3]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = -np.mean(np.log([softmax[0, 1], softmax[1, 0]]))
    energy, visible = np.array([50.0, 2.0]), np.array([0.9, 0.05]) * 50
    scale = np.array([np.log(50.0), 1.0])
    wanted = np.mean(((energy - visible) / (10 * scale) - said[:, 3] / scale) ** 2)
    theta = np.mean((said[:, 4] - 10 * (np.array([1.2, 1.9]) - np.pi / 2)) ** 2)
    phi = np.mean((said[:, 5] - 10 * np.array([0.3, -0.2])) ** 2)
    assert parts["classes"] == pytest.approx(classes, rel=1e-5)
    assert parts["energy"] == pytest.approx(wanted, rel=1e-5)
    assert parts["theta"] == pytest.approx(theta, rel=1e-5)
    assert parts["phi"] == pytest.approx(phi, rel=1e-5)
    assert total == pytest.approx(classes + wanted + 10 * theta + 10 * phi, rel=1e-5)

    told = model.predict(showers)
    assert np.allclose(told.probability, softmax, rtol=1e-5)
    assert told.pdg.tolist() == [22, 11]
    assert np.allclose(told.targets["energy"], 1e3 * (visible + 10 * said[:, 3]), rtol=1e-5)
    assert np.allclose(told.targets["theta"], np.pi / 2 + said[:, 4] / 10, rtol=1e-5)
    assert np.allclose(told.targets["phi"], said[:, 5] / 10, rtol=1e-5)


def test_a_perfect_network_has_no_loss() -> None:
    showers = particle_showers(4, 5, two_windows(5))
    asked = {"classes": [], "targets": ["energy", "theta", "phi"]}
    model = build_any("triforce-dnn", showers.calorimeter, asked)
    assert isinstance(model, TriforceDNN)
    inputs = model.inputs(torch.from_numpy(showers.dense()))
    measured = np.pi / 2 - np.arctan(inputs.slope[:, 0].numpy())
    energy = (showers.incident.energy / 1e3 - inputs.visible.numpy()) / 10
    theta = 10 * (showers.incident["theta"] - measured)
    model.network = Fixed(np.stack([energy, theta, 10 * showers.incident["phi"]], 1).tolist())
    total, _ = one_step(model, showers)
    assert total == pytest.approx(0.0, abs=1e-8)
    told = model.predict(showers)
    assert np.allclose(told.targets["energy"], showers.incident.energy, rtol=1e-5)
    assert np.allclose(told.targets["theta"], showers.incident["theta"], rtol=1e-5)


# ------------------------------------------------------------------------ physics


@pytest.mark.parametrize("kind", ["triforce-dnn", "triforce-cnn"])
def test_particles_are_told_apart_and_measured(kind: str) -> None:
    """Depth tells the particle; the energy is linear, better than the sum of all cells."""
    sample, test = particle_showers(1200, 1), particle_showers(400, 2)
    torch.manual_seed(0)
    config = {"neurons": 48, "hidden": 2, "learning_rate": 2e-3, "dropout": 0.0}
    asked = {"classes": CLASSES, "targets": ["energy", "theta"]}
    model = build_any(kind, sample.calorimeter, {**asked, **config})
    assert isinstance(model, TriforceModel)
    model.prepare(TrainingSample.whole(sample))
    model.train()
    adam = model.optimizers()["network"]

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        adam.zero_grad()
        loss.backward()
        adam.step()

    cells = torch.from_numpy(sample.dense())
    columns = [sample.incident[name] for name in model.condition_columns]
    truth = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    rng = np.random.default_rng(0)
    for _ in range(250):
        rows = torch.from_numpy(rng.integers(0, len(sample), 64))
        model.training_step(TrainingBatch(truth[rows], cells[rows]), update)
    told = model.eval().predict(test)
    assert np.mean(told.pdg == np.abs(test.incident["pdg"])) > 0.97
    energy = test.incident.energy
    slope, offset = np.polyfit(energy, told.targets["energy"], 1)
    assert slope == pytest.approx(1.0, abs=0.03)
    assert abs(offset) < 1500  # MeV
    response, visible = told.targets["energy"] / energy, test.total_energy / energy
    assert response.std() / response.mean() < 0.95 * visible.std() / visible.mean()
    error = told.targets["theta"] - test.incident["theta"]
    slope_x = model.inputs(torch.from_numpy(test.dense())).slope[:, 0].numpy()
    measured = np.pi / 2 - np.arctan(slope_x)
    assert error.std() < 0.9 * (measured - test.incident["theta"]).std()
