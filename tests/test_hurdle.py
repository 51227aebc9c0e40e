"""Sparse cells: tables of layers, the density by hand, and draws that follow it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from caloforge.geometry import load_detector
from caloforge.models.sparse.hurdle import Hurdle
from caloforge.models.sparse.layer_table import LayerTable
from caloforge.showers import Showers
from helpers import random_showers, small_calorimeter


@pytest.fixture(scope="module")
def showers() -> Showers:
    return random_showers(60)


def fitted(showers: Showers, components: int = 3) -> Hurdle:
    hurdle = Hurdle(showers.calorimeter, components)
    hurdle.fit(showers)
    return hurdle


@pytest.mark.parametrize("name", ["calogan-lar", "small"])
def test_tables_keep_every_cell_in_its_layer(name: str) -> None:
    calorimeter = small_calorimeter() if name == "small" else load_detector(name)
    table = LayerTable(calorimeter)
    cells = 1.0 + torch.arange(2 * calorimeter.n_cells).reshape(2, -1)
    rows = table.rows(cells, fill=-1.0)
    assert torch.equal(table.cells(rows), cells)
    offset = calorimeter.layer_offset
    for layer, (start, stop) in enumerate(pairwise(offset)):
        assert torch.equal(rows[:, layer, : stop - start], cells[:, start:stop])
        assert (rows[:, layer, stop - start :] == -1.0).all()
    assert not table.state_dict()


def test_usual_cells_are_those_of_the_sample(showers: Showers) -> None:
    hurdle = fitted(showers)
    dense = showers.dense().astype(np.float64)
    seen = dense >= 0.01
    raw = np.log(np.maximum(dense[seen] - 0.01, 1e-5))
    assert hurdle.mean.item() == pytest.approx(raw.mean(), rel=1e-4)
    assert hurdle.std.item() == pytest.approx(raw.std(), rel=1e-3)
    chance = (seen.sum(0) + 0.3) / 61.0
    found = torch.sigmoid(hurdle.usual_hit).numpy().ravel()
    assert found == pytest.approx(chance, rel=1e-4)
    hit, level = hurdle.levels(torch.tensor([0.0, 0.01, 3.01], dtype=torch.float64))
    assert hit.tolist() == [0.0, 1.0, 1.0]
    expected = (np.log(3.0) - raw.mean()) / raw.std()
    assert level[2].item() == pytest.approx(expected, rel=1e-3)
    assert level[0].item() == 0.0


def log_mixture(
    level: NDArray[np.float64], numbers: NDArray[np.float64], usual: float
) -> NDArray[np.float64]:
    """ln p of levels for the numbers of one cell, three components."""
    weight = np.exp(numbers[1:4]) / np.exp(numbers[1:4]).sum()
    mean, std = numbers[4:7] + usual + [-1.0, 0.0, 1.0], np.exp(numbers[7:10])
    parts = np.exp(-0.5 * ((level[:, None] - mean) / std) ** 2) / std / np.sqrt(2 * np.pi)
    return np.asarray(np.log((weight * parts).sum(1)))


def test_losses_are_the_logarithms_of_the_density(showers: Showers) -> None:
    hurdle = fitted(showers)
    rng = np.random.default_rng(2)
    numbers = rng.uniform(-1.5, 1.5, (1, 4, 25, hurdle.size))
    rows = hurdle.table.rows(torch.from_numpy(showers[:1].dense().astype(np.float64)))
    hit, level = hurdle.levels(rows)
    hits, levels = hurdle.losses(torch.from_numpy(numbers), hit, level)
    expected_hits = expected_levels = 0.0
    for layer in range(4):
        for cell in range(25):
            own = numbers[0, layer, cell]
            chance = 1 / (1 + np.exp(-own[0] - hurdle.usual_hit[layer, cell].item()))
            if hit[0, layer, cell] > 0:
                expected_hits -= np.log(chance)
                at = level[0, layer, cell, None].numpy()
                usual = hurdle.usual_level[layer, cell].item()
                expected_levels -= log_mixture(at, own, usual)[0]
            else:
                expected_hits -= np.log(1 - chance)
    assert hits.item() == pytest.approx(expected_hits, rel=1e-4)
    assert levels.item() == pytest.approx(expected_levels, rel=1e-4)


def test_draws_follow_the_density(showers: Showers) -> None:
    """One layer with one open cell: how often it is hit, and the distribution of its level."""
    hurdle = fitted(showers)
    hurdle.bounds.copy_(torch.tensor([-50.0, 50.0]))
    n = 20_000
    numbers = torch.full((n, 25, hurdle.size), -40.0, dtype=torch.float64)
    own = np.array([0.6, 0.2, -0.4, 0.9, -0.5, 0.1, 0.7, -1.2, -0.7, -1.6])
    own[0] -= hurdle.usual_hit[1, 7].item()
    numbers[:, 7] = torch.from_numpy(own)
    numbers[:, 9, 0] = 40.0  # always hit, and takes what the other leaves
    generator = torch.Generator().manual_seed(3)
    uniform = torch.rand(n, 25, generator=generator, dtype=torch.float64)
    normal = torch.randn(n, 25, generator=generator, dtype=torch.float64)
    captured: list[torch.Tensor] = []

    def keep(cells: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
        captured.append(cells)
        return cells

    hurdle._scaled = keep  # type: ignore[method-assign]
    hurdle.draw(numbers, uniform, normal, torch.ones(n, dtype=torch.float64), 1)
    hit, level = (part[:, 7].numpy() for part in hurdle.levels(captured[0]))
    chance = 1 / (1 + np.exp(-0.6))
    assert hit.mean() == pytest.approx(chance, abs=4 * (chance * (1 - chance) / n) ** 0.5)
    found = np.sort(level[hit > 0])
    grid = np.linspace(-12.0, 12.0, 4001)
    density = np.exp(log_mixture(grid, own, hurdle.usual_level[1, 7].item()))
    cumulative = np.interp(found, grid, np.cumsum(density) * (grid[1] - grid[0]))
    steps = (np.arange(len(found)) + 0.5) / len(found)
    assert np.abs(cumulative - steps).max() < 1.95 / len(found) ** 0.5  # Kolmogorov, 1 in 1000


def test_drawn_layers_have_their_energies_and_no_cell_below_the_threshold() -> None:
    calorimeter = load_detector("calogan-lar").model_copy(update={"cell_threshold": 0.5})
    showers = random_showers(20, calorimeter, occupancy=0.1)
    hurdle = fitted(showers, components=1)
    generator = torch.Generator().manual_seed(1)

    def noise(draw: object) -> torch.Tensor:
        values = draw(50, 504, generator=generator, dtype=torch.float64)  # type: ignore[operator]
        return hurdle.table.rows(values)

    energy = torch.tensor([[0.4, 30.0, 700.0]], dtype=torch.float64).expand(50, -1)
    numbers = torch.randn(50, 3, 288, hurdle.size, generator=generator, dtype=torch.float64)
    numbers[:10, :, :, 0] = -80.0  # no cell wants to be hit
    rows = hurdle.draw(numbers, noise(torch.rand), noise(torch.randn), energy)
    assert (rows[:, 0] == 0.0).all()  # less than the threshold
    assert rows[:, 1:].sum(-1).numpy() == pytest.approx(energy[:, 1:].numpy(), rel=1e-9)
    assert (rows[rows > 0] >= 0.5).all()
    assert ((rows[:10, 1:] > 0).sum(-1) == 1).all()
    assert (rows[:, 1, 144:] == 0.0).all()  # layer 1 has 144 cells
    assert (rows[:, 2, 72:] == 0.0).all()


def test_losses_of_empty_showers_have_finite_gradients(showers: Showers) -> None:
    hurdle = fitted(showers)
    numbers = torch.zeros(2, 4, 25, hurdle.size, requires_grad=True)
    hits, levels = hurdle.losses(numbers, *hurdle.levels(torch.zeros(2, 4, 25)))
    assert levels.tolist() == [0.0, 0.0]
    (hits + levels).sum().backward()
    assert numbers.grad is not None
    assert numbers.grad.isfinite().all()
