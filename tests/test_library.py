"""The frozen-shower library: near in energy, rescaled exactly, drawn by the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caloforge.errors import ModelError, ShowerError
from caloforge.models import build_model
from caloforge.models.library import Library
from caloforge.showers import Incident, Showers
from helpers import random_showers, small_calorimeter


def library(showers: Showers, neighbours: int) -> Library:
    model = build_model("library", showers.calorimeter, {"neighbours": neighbours})
    assert isinstance(model, Library)
    model.fit(showers)
    return model


def test_the_nearest_shower_rescaled() -> None:
    showers = random_showers(40, seed=3)
    model = library(showers, 1)
    wanted = torch.tensor([[20e3], [55e3], [99e3]])
    made = model(wanted, torch.rand(3, 1)).numpy()
    for row, energy in zip(made, wanted[:, 0].numpy(), strict=True):
        nearest = int(np.abs(showers.incident.energy - energy).argmin())
        scale = energy / showers.incident.energy[nearest]
        expected = showers[[nearest]].dense()[0] * scale
        expected[expected < showers.calorimeter.cell_threshold] = 0.0
        assert np.allclose(row, expected, rtol=1e-6)


def test_neighbours_are_the_nearest_and_equally_likely() -> None:
    calorimeter = small_calorimeter()
    energies = np.array([10.0, 20.0, 30.0, 40.0, 50.0]) * 1e3
    dense = np.zeros((5, calorimeter.n_cells), np.float32)
    dense[np.arange(5), np.arange(5)] = 100.0  # each shower is known by its cell
    showers = Showers.from_dense(calorimeter, Incident({"energy": energies}), dense)
    model = library(showers, 3)
    noise = torch.linspace(0.001, 0.999, 999)[:, None]
    made = model(torch.full((999, 1), 21e3), noise).numpy()
    counts = np.bincount(made.argmax(axis=1), minlength=5)
    assert counts.tolist() == [333, 333, 333, 0, 0]
    edge = model(torch.full((999, 1), 5e3), noise).numpy().argmax(axis=1)
    assert set(edge) == {0, 1, 2}


def test_response_is_kept_exactly() -> None:
    showers = random_showers(30, seed=5)
    model = library(showers, 4)
    wanted = torch.linspace(12e3, 90e3, 50)[:, None]
    made = model(wanted, torch.rand(50, 1)).sum(dim=1) / wanted[:, 0]
    fractions = showers.total_energy / showers.incident.energy
    assert made.min() >= fractions.min() * 0.97  # the threshold costs a little
    assert made.max() <= fractions.max() * (1 + 1e-5)


def test_a_library_smaller_than_its_neighbours() -> None:
    showers = random_showers(2)
    made = library(showers, 10)(torch.full((8, 1), 50e3), torch.rand(8, 1))
    assert (made.sum(dim=1) > 0).all()


def test_empty_libraries_and_empty_showers() -> None:
    calorimeter = small_calorimeter()
    model = build_model("library", calorimeter)
    assert isinstance(model, Library)
    with pytest.raises(ModelError, match="caloforge train library"):
        model(torch.ones(1, 1), torch.rand(1, 1))
    empty = Showers(calorimeter, Incident({"energy": [1e3]}), [0, 0], [], [])
    with pytest.raises(ShowerError, match="drop"):
        model.fit(empty)


def test_many_showers_of_one_energy_are_all_used() -> None:
    calorimeter = small_calorimeter()
    dense = np.eye(100, dtype=np.float32)[:80] * 50.0
    incident = Incident({"energy": np.full(80, 50e3)})
    model = library(Showers.from_dense(calorimeter, incident, dense), 10)
    noise = torch.linspace(0.0005, 0.9995, 800)[:, None]
    made = model(torch.full((800, 1), 50e3), noise).numpy()
    assert np.bincount(made.argmax(axis=1), minlength=80).tolist() == [10] * 80
