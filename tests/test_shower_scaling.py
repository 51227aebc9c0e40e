"""Energy variables, shares, logits: values by hand, and round trips for any calorimeter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.preprocess import LayerShares, ShowerScaling
from caloforge.preprocess.shower_scaling import from_logit, to_logit
from calorimeters import calorimeters
from helpers import random_showers


def two_and_one(threshold: float = 0.0) -> Calorimeter:
    """Three layers of two, one and three cells."""
    sizes = (2, 1, 3)
    grids = [CartesianGrid(nx=n, ny=1, dx=1.0, dy=1.0) for n in sizes]
    layers = [Layer(z=float(k), thickness=1.0, segmentation=g) for k, g in enumerate(grids)]
    return Calorimeter(name="t", cell_threshold=threshold, layers=tuple(layers))


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_energy_variables_by_hand() -> None:
    split = LayerShares(two_and_one())
    energy = tensor([1.0, 3.0, 4.0, 0.0, 2.0, 0.0], [0.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    layers = split.layer_energies(energy)
    assert layers.tolist() == [[4.0, 4.0, 2.0], [5.0, 0.0, 0.0]]
    u = split.variables(layers, torch.tensor([100.0, 50.0]).double())
    expected = [[0.1, 4.0 / 10.0, 4.0 / 6.0], [0.1, 1.0, 0.0]]
    assert u.numpy() == pytest.approx(np.array(expected), rel=1e-12)
    shares = split.shares(energy)
    expected = [[0.25, 0.75, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    assert shares.numpy() == pytest.approx(np.array(expected), rel=1e-9)


def test_layer_energies_by_hand() -> None:
    """E = (u0 Einc) u1, then (1 - u1) u2 of it, then the rest; out of range means the end."""
    split = LayerShares(two_and_one())
    u = tensor([0.2, 0.25, 0.5], [0.1, 1.3, 0.5], [-0.1, 0.5, 0.5], [0.1, 1.0 - 1e-6, 1e-6])
    layers = split.layers(u, torch.full((4,), 100.0).double())
    expected = [[5.0, 7.5, 7.5], [10.0, 0.0, 0.0], [0.0, 0.0, 0.0], [10.0, 0.0, 0.0]]
    assert layers.numpy() == pytest.approx(np.array(expected), abs=1e-12)


def test_every_layer_is_scaled_to_its_energy_and_cut_at_the_threshold() -> None:
    split = LayerShares(two_and_one(threshold=0.5))
    shares = tensor([0.2, 0.6, 0.3, 4e-6, 0.5, 0.01])
    cells = split.cells(shares, tensor([8.0, 3.0, 2.04]))
    expected = [[2.0, 6.0, 3.0, 0.0, 2.0, 0.0]]  # the last one, 0.04, is below the threshold
    assert cells.numpy() == pytest.approx(np.array(expected), rel=1e-9)


def test_shares_below_the_cut_are_empty() -> None:
    split = LayerShares(two_and_one(), cut=1e-2)
    cells = split.cells(tensor([0.009, 0.1, 1.0, 0.0, 0.5, 0.01]), tensor([8.0, 3.0, 5.1]))
    expected = [[0.0, 8.0, 3.0, 0.0, 5.0, 0.1]]
    assert cells.numpy() == pytest.approx(np.array(expected), rel=1e-8)


def test_a_layer_of_noise_alone_is_empty() -> None:
    split = LayerShares(two_and_one())
    cells = split.cells(tensor([4e-6, 1e-6, 1.0, 0.0, 0.0, 0.0]), tensor([8.0, 3.0, 0.0]))
    assert cells.tolist() == [[0.0, 0.0, pytest.approx(3.0), 0.0, 0.0, 0.0]]


def test_noise_is_added_to_shares_and_inwards_on_the_ends_of_variables() -> None:
    split = LayerShares(two_and_one())
    draw = tensor([0.5, 0.5, 0.5])
    smeared = split.smear(tensor([0.0, 0.5, 1.0]), draw)
    expected = np.array([[2.5e-6, 0.5 + 2.5e-6, 1.0 + 2.5e-6]]) / (1.0 + 5e-6)
    assert smeared.numpy() == pytest.approx(expected, rel=1e-12)
    assert (smeared <= 1.0).all()
    ends = split.smear_ends(tensor([0.0, 0.0, 1.0], [1.0, 0.3, 1.0]), draw)
    expected = np.array([[0.0, 2.5e-6, 1.0 - 2.5e-6], [1.0, 0.3, 1.0 - 2.5e-6]])
    assert ends.numpy() == pytest.approx(expected, rel=1e-12)


def test_logits_by_hand() -> None:
    value = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    pulled = np.array([0.0, 0.25, 0.5, 1.0]) * (1.0 - 2e-6) + 1e-6
    assert to_logit(value).numpy() == pytest.approx(np.log(pulled / (1.0 - pulled)), abs=1e-9)
    assert from_logit(to_logit(value)).numpy() == pytest.approx(value.numpy(), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(calorimeters(), st.integers(0, 2**31), st.floats(0.05, 1.0))
def test_there_and_back_in_any_calorimeter(
    calorimeter: Calorimeter, seed: int, occupancy: float
) -> None:
    """Without noise every cell comes back that holds more than the noise's share of its layer."""
    generator = torch.Generator().manual_seed(seed)
    shape = (6, calorimeter.n_cells)
    energy = 10.0 ** (4.0 * torch.rand(shape, generator=generator, dtype=torch.float64) - 3.0)
    energy *= torch.rand(shape, generator=generator) < occupancy
    incident = energy.sum(-1) * 40.0 + 1.0
    scaling = ShowerScaling(calorimeter).double()
    scaling.fit([(incident, energy)], {"energy": (1.0, 1e6)})
    layers, cells = scaling.split.layer_energies(energy), torch.zeros_like(energy)
    variables = scaling.variables(incident, energy, torch.zeros_like(layers))
    again = scaling.layers(incident, variables.double())
    scale = layers.sum(-1, keepdim=True) + 1e-9
    assert (again / scale).numpy() == pytest.approx((layers / scale).numpy(), abs=2e-5)
    shapes = scaling.shapes(energy, cells)
    cells = scaling.cells(shapes, layers)
    kept = scaling.split.shares(energy) > 6e-6
    assert cells[kept].numpy() == pytest.approx(energy[kept].numpy(), rel=1e-4)
    assert (cells[energy == 0.0] == 0.0).all()
    assert scaling.split.layer_energies(cells).numpy() == pytest.approx(layers.numpy(), rel=1e-9)


def test_what_networks_see_is_standardised_over_the_sample() -> None:
    showers = random_showers(64, occupancy=0.5)
    energy, incident = torch.from_numpy(showers.dense()), torch.from_numpy(showers.incident.energy)
    scaling = ShowerScaling(showers.calorimeter)
    blocks = [(incident[k : k + 16], energy[k : k + 16]) for k in range(0, 64, 16)]
    low, high = float(incident.min()), float(incident.max())
    scaling.fit(blocks, {"energy": (low, high)})
    torch.manual_seed(1)
    shapes = scaling.shapes(energy, torch.rand_like(energy))
    variables = scaling.variables(incident, energy, torch.rand(64, 4))
    for found in (shapes, variables):
        assert found.mean(0).numpy() == pytest.approx(0.0, abs=0.15)
        assert found.std(0).numpy() == pytest.approx(1.0, abs=0.2)
    condition = torch.tensor([[low], [(low * high) ** 0.5], [high]])
    assert scaling.conditions(condition)[:, 0].tolist() == pytest.approx([0.0, 0.5, 1.0], abs=1e-5)


def test_other_columns_are_scaled_as_they_are() -> None:
    scaling = ShowerScaling(two_and_one(), ("energy", "x", "theta"))
    energy = torch.ones(4, 6)
    ranges = {"energy": (1e3, 1e5), "x": (-2.0, 2.0), "theta": (1.5, 1.5)}
    scaling.fit([(torch.full((4,), 1e4), energy)], ranges)
    known = scaling.conditions(torch.tensor([[1e4, 1.0, 1.5]]))
    assert known[0].tolist() == pytest.approx([0.5, 0.75, 0.0], abs=1e-6)


def test_empty_showers_stay_finite_and_empty() -> None:
    scaling = ShowerScaling(two_and_one())
    energy, incident = torch.zeros(3, 6), torch.full((3,), 1e4)
    scaling.fit([(incident, energy)], {"energy": (1e4, 1e4)})
    variables = scaling.variables(incident, energy, torch.rand(3, 3))
    shapes = scaling.shapes(energy, torch.rand(3, 6))
    assert torch.isfinite(variables).all()
    assert torch.isfinite(shapes).all()
    assert (scaling.cells(shapes, scaling.layers(incident, variables)) == 0.0).all()
