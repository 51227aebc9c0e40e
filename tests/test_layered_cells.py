"""Cells of the layered model: hits, moves and energies follow what they are meant to."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from caloforge.geometry import load_detector
from caloforge.models.layered.field import Field
from caloforge.models.layered.hits import Hits
from caloforge.sampling.cells import Layers, Rows, add_up_to
from caloforge.sampling.filling import fill
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.heat_bath import Bath, bathe, draw_cell, empty_bath
from caloforge.sampling.hits import Sites, draw_hits, empty_sites, look
from caloforge.sampling.layer import Layer
from caloforge.sampling.moves import move_hits
from caloforge.sampling.spectra import (
    Places,
    Spectra,
    spectra_of,
)
from caloforge.sampling.tilted import draw_energy_near
from helpers import words

# ------------------------------------------------------------------------------- cells


def flat_spectra() -> Spectra:
    """Two by two nodes, all with energies even between 0.1 and 2 MeV."""
    edge = np.linspace(0.1, 2.0, 9)
    inner = np.linspace(edge[:-1], edge[1:], 17, axis=1)
    return spectra_of(2, np.full((4, 8), 1 / 8), inner)


def square(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions x, y and cells beside each other of ``side`` x ``side`` cells, or their number."""
    x, y = (a.ravel() - (side - 1) / 2 for a in np.indices((side, side)).astype(float))
    place = np.arange(side * side, dtype=np.uint32).reshape(side, side)
    place = np.pad(place, 1, constant_values=side * side)
    sides = (place[:-2, 1:-1], place[2:, 1:-1], place[1:-1, :-2], place[1:-1, 2:])
    return x, y, np.stack([one.ravel() for one in sides], axis=1)


@njit
def begin(sites: Sites, logits: np.ndarray, spill: np.ndarray) -> None:
    look(sites, logits, spill)


def hits_of(logits: np.ndarray, wanted: int, number: int) -> tuple[int, Sites]:
    side = round(len(logits) ** 0.5)
    sites = empty_sites(len(logits))
    begin(sites, logits.copy(), np.full(len(logits), np.float32(0.2)))
    hit = np.empty(len(logits), np.uint32)
    count = draw_hits(sites, wanted, square(side)[2], hit, words(number))
    assert sorted(hit[:count]) == list(np.flatnonzero(sites.used))
    return count, sites


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(0, 10_000))
def test_hits_are_exactly_as_many_as_wanted(wanted: int, number: int) -> None:
    count, sites = hits_of(np.linspace(-4, 4, 25).astype(np.float32), wanted, number)
    assert count == wanted
    assert sites.used.sum() == wanted
    beside = square(5)[2]
    assert np.array_equal(sites.touching[:25], sites.used[beside].sum(1))
    pairs = np.where(sites.used[beside], sites.pull[beside], 0.0)
    boost = (1 + sites.pull[:25, None] * pairs).prod(1)
    assert sites.boost[:25] == pytest.approx(boost, rel=1e-5)


def test_cells_that_cannot_be_hit_are_not() -> None:
    logits = np.full(25, -1e4, np.float32)
    logits[3:9] = 0.0
    for number in range(20):
        count, sites = hits_of(logits, 10, number)
        assert count == 6
        assert sites.used[3:9].all()


def test_odds_do_not_overflow() -> None:
    logits = np.full(625, -5.0, np.float32)
    logits[[0, 300, 624]] = 100.0, np.inf, 60.0
    count, sites = hits_of(logits, 3, 1)
    assert count == 3
    assert sites.used[[0, 300, 624]].all()
    assert (sites.weight >= 0).all()
    assert sites.rising[-1] < 2**31


@pytest.mark.parametrize("sure", [None, 4])
def test_moves_reach_the_field(sure: int | None) -> None:
    """All ways to hit 3 of 9 cells come as often as the field says; sure cells stay as drawn."""
    rng = np.random.default_rng(3)
    logits = rng.normal(-1, 1, 9).astype(np.float32)
    if sure is not None:
        logits[sure] = 5.0
    spill = rng.uniform(0.3, 1.5, 9).astype(np.float32)
    x, y, beside = square(3)
    ways = [list(way) for way in combinations(range(9), 3)]
    pull = spill * np.exp(-0.5 * logits)
    weight = np.array(
        [
            np.exp(logits[way].sum())
            * np.prod([1 + pull[a] * pull[b] for a, b in combinations(way, 2) if b in beside[a]])
            for way in ways
        ]
    )
    n, none = 20_000, (0.0,) * 15
    places = Places(np.zeros(9, np.float32), np.zeros(9, np.float32))
    found = np.zeros(len(ways))
    sites, state, spectra = empty_sites(9), words(8), flat_spectra()
    for _ in range(n):
        begin(sites, logits.copy(), spill)
        hit = np.empty(9, np.uint32)
        draw_hits(sites, 3, beside, hit, state)
        first = np.zeros(3, np.uint32)
        layer = Layer(sites, beside, hit, first, places, spectra, x, y, (0.0, 0.0))
        move_hits(20.0, layer, 3, none, (0.0, 0.0, 0.0, 0.0, 0.0), state)
        found[ways.index(sorted(hit[:3]))] += 1
    same = np.array([sure is None or sure in way for way in ways])
    assert found[same].sum() > 0.9 * n
    expected = found[same].sum() * weight[same] / weight[same].sum()
    assert stats.chisquare(found[same], expected).pvalue > 1e-3


@njit
def room(x: np.ndarray) -> Bath:
    return empty_bath(x.size)


@njit
def drawn_cell(bath: Bath, sites: Sites, matrix: Any, left: Any, state: np.ndarray) -> int:
    return int(draw_cell(bath, sites, matrix, left, np.uint32(0), state))


@njit
def bathed(layer: Layer, *arguments: Any) -> None:
    bathe(empty_bath(9), layer, *arguments)


@pytest.mark.parametrize("how", ["moves", "bath"])
def test_hits_reach_the_moments(how: str) -> None:
    """All ways to hit 3 of 9 cells come as often as the field, means and variances say."""
    rng = np.random.default_rng(6)
    logits = rng.normal(-1, 1, 9).astype(np.float32)
    spill = rng.uniform(0.3, 1.0, 9).astype(np.float32)
    pull = spill * np.exp(-0.5 * logits)
    x, y, beside = square(3)
    edge = np.linspace(0.1, 9.0, 9)
    inner = np.linspace(edge[:-1], edge[1:], 17, axis=1)
    spectra = spectra_of(2, rng.dirichlet(np.full(8, 0.3), 4), inner)
    corner = rng.integers(0, 2, (2, 9)).astype(np.float32)
    places, nodes = Places(*corner), (2 * corner[0] + corner[1]).astype(np.uint32)
    basis = np.stack([np.ones(9), x, y, x**2, y**2])
    mean, variance = basis * spectra.mean[nodes], spectra.variance[nodes]
    wanted, tolerance = np.array([9.0, 3.0, -2.0, 5.0, 4.0]), (1.0, 2.0, 2.0, 1.0, 1.0)

    def look_at(way: list[int]) -> tuple[np.ndarray, np.ndarray]:
        covariance = np.diag(tolerance) + (basis[:, way] * variance[way]) @ basis[:, way].T
        return wanted - mean[:, way].sum(1), covariance

    def weight(way: list[int]) -> float:
        left, covariance = look_at(way)
        pairs = [1 + pull[a] * pull[b] for a, b in combinations(way, 2) if b in beside[a]]
        near = stats.multivariate_normal(cov=covariance).pdf(left)
        return float(np.exp(logits[way].sum()) * np.prod(pairs) * near)

    ways = [list(way) for way in combinations(range(9), 3)]
    n, state, sites = 10_000, words(9), empty_sites(9)
    found = np.zeros(len(ways))
    for _ in range(n):
        begin(sites, logits.copy(), spill)
        hit = np.empty(9, np.uint32)
        draw_hits(sites, 3, beside, hit, state)
        for _ in range(1 if how == "moves" else 6):
            left, covariance = look_at(list(hit[:3]))
            matrix = tuple(np.linalg.inv(covariance)[np.tril_indices(5)])
            layer = Layer(
                sites, beside, hit, nodes[hit[:3]], places, spectra, x, y, (0.0, 0.0)
            )  # fmt: skip
            rest = (layer, 3, matrix, tuple(left), state)
            _ = move_hits(100.0, *rest) if how == "moves" else bathed(*rest)
        found[ways.index(sorted(hit[:3]))] += 1
    expected = np.array([weight(way) for way in ways])
    expected *= n / expected.sum()
    rare = expected < 5.0
    seen, due = (np.append(of[~rare], of[rare].sum()) for of in (found, expected))
    assert stats.chisquare(seen, due).pvalue > 1e-3


def test_the_bath_weighs_cells_far_out() -> None:
    """Against float64, where a far hit makes the moments' covariance ill-conditioned."""
    x, y, _ = square(51)
    rng = np.random.default_rng(1)
    basis = np.stack([np.ones(x.size), x, y, x**2, y**2])
    others = np.array([25 * 51 + 25, 25 * 51 + 26, 44 * 51 + 3])
    covariance = np.diag([1e-4, 1e-3, 1e-3, 1e-2, 1e-2])
    covariance += (basis[:, others] * [0.02, 0.02, 0.3]) @ basis[:, others].T
    matrix = np.linalg.inv(covariance)
    left = 0.3 * basis[:, 30 * 51 + 20] + 0.01 * rng.normal(size=5)
    mean, variance = rng.uniform(0.1, 1.0, x.size), rng.uniform(0.02, 0.5, x.size)
    bath, sites = room(x), empty_sites(x.size)
    bath.mean[:], bath.variance[:], bath.x[:], bath.y[:] = mean, variance, x, y
    begin(sites, np.full(x.size, np.float32(-3.0)), np.zeros(x.size, np.float32))
    drawn = [
        drawn_cell(bath, sites, tuple(matrix[np.tril_indices(5)]), tuple(left), words(k))
        for k in range(500)
    ]
    own = np.einsum("ic,ij,jc->c", basis, matrix, basis)
    q = left @ matrix @ basis
    gain = (mean * q - 0.5 * mean**2 * own + 0.5 * variance * q**2) / (1 + variance * own)
    weight = np.exp(gain - gain.max()) / np.sqrt(1 + variance * own)
    found = bath.weight[: x.size] / bath.weight.sum()
    assert found == pytest.approx(weight / weight.sum(), abs=2e-3)
    assert np.mean(weight[drawn] > 1e-6 * weight.max()) == 1.0


def test_the_field_is_what_is_learned() -> None:
    """The torch field gives ln p of every way to hit 9 cells, and every cell given the others."""
    grid = LayerGrid.of(load_detector("lcd-ecal-25").window(3, 3, "nine"))
    field = Field(grid, np.arange(9))
    torch.manual_seed(5)
    logits = torch.randn(9, 1, 25)
    torch.nn.init.normal_(field.coupling)
    ways = torch.tensor(list(product((False, True), repeat=9)))
    on = torch.zeros(25, dtype=torch.bool)
    on[4] = True
    both = []
    for way in ways:
        cell = way.nonzero()[:, 0]
        hits = Hits(torch.full_like(cell, 4), cell, torch.ones(len(cell)), logits.shape)
        both.append([field.energy(logits, hits), field.pseudo(logits, hits, on)])
    energy, pseudo = torch.tensor(both).T
    p = (-energy).softmax(0)
    number = torch.arange(512)
    given = torch.zeros(512)
    for cell in range(9):
        other = number ^ (1 << (8 - cell))
        given += (p[number] / (p[number] + p[other])).log()
    assert torch.allclose(-pseudo, given, atol=1e-4)


def filled(numbers: list[float], hits: int, rows: int = 200, tries: float = 4.0) -> np.ndarray:
    """Layers of 7 x 7 cells with these energies, centres and widths: (rows, 49) MeV."""
    x, y, beside = square(7)
    decoded = np.zeros((rows, 3 * 49), np.float32)
    decoded[:, :49] = (1.0 - 0.3 * (x**2 + y**2)).astype(np.float32)
    layers = Layers(
        np.arange(49), np.zeros((1, 3, 49), np.float32), np.zeros((1, 49), np.float32),
        x[None], y[None], beside[None], np.array([0.01, 0.05, 0.05]), tries, 1e-3,
    )  # fmt: skip
    keys = np.stack([np.arange(rows), np.arange(rows)], axis=1).astype(np.uint64)
    first = np.zeros(rows, np.int64)
    every = Rows(decoded, first, first, np.full(rows, hits), np.tile(numbers, (rows, 1)), keys)
    found, place, energy = fill(every, layers, flat_spectra())
    out = np.zeros((rows, 49), np.float32)
    out[np.repeat(np.arange(rows), found), place] = energy
    return out


@njit
def added_up(wanted: float, energy: np.ndarray, threshold: float) -> None:
    add_up_to(wanted, len(energy), energy, threshold)


@pytest.mark.parametrize("factor", [0.97, 1.0, 1.03])
def test_energies_add_up_and_narrow_peaks_stay(factor: float) -> None:
    energy = np.array([0.16] * 20 + [50.0, 30.0])
    wanted = factor * energy.sum()
    added_up(wanted, energy, 1e-3)
    assert energy.sum() == pytest.approx(wanted, rel=1e-12)
    assert energy[:20] == pytest.approx(0.16, rel=2e-4)


def test_energies_that_must_shrink_much_stay_above_the_threshold() -> None:
    energy = np.array([0.0011, 5.0, 1.0, 0.2])
    added_up(0.5, energy, 1e-3)
    assert energy.min() == 1e-3
    assert energy.sum() == pytest.approx(0.5, rel=3e-3)


def test_layers_get_the_wanted_numbers() -> None:
    out = filled([15.0, 0.3, -0.2, 1.2, 1.0], 14)
    assert ((out > 0).sum(1) == 14).all()
    assert out.sum(1) == pytest.approx(15.0, rel=1e-5)
    x, y = (a.ravel() - 3.0 for a in np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij"))
    centre_x, centre_y = out @ x / 15.0, out @ y / 15.0
    width_x = np.sqrt(out @ x**2 / 15.0 - centre_x**2)
    width_y = np.sqrt(out @ y**2 / 15.0 - centre_y**2)
    wanted = {0.3: centre_x, -0.2: centre_y, 1.2: width_x, 1.0: width_y}
    for value, found in wanted.items():
        assert np.median(found) == pytest.approx(value, abs=0.05)  # the tolerance
        assert np.quantile(np.abs(found - value), 0.9) < 0.2


def test_a_single_hit_lies_where_the_layer_has_its_centre() -> None:
    out = filled([1.0, 2.0, -1.0, 0.0, 0.0], 1)
    x, y = (a.ravel() - 3.0 for a in np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij"))
    chosen = out.argmax(1)
    away = np.hypot(x[chosen] - 2.0, y[chosen] + 1.0)
    assert out.sum(1) == pytest.approx(1.0)
    assert (away < 0.1).mean() > 0.9


@pytest.mark.parametrize(
    ("centre", "weight"),
    [(1.0, 50.0), (1.0, 0.5), (2.5, 4.0), (30.0, 1.0), (-5.0, 2.0), (0.4, 4e3)],
)
def test_energies_near_a_wanted_one_follow_spectrum_times_gaussian(
    centre: float, weight: float
) -> None:
    """Against the numerical density, the wanted energy inside, at the edge of and far outside."""
    rng = np.random.default_rng(5)
    edge = np.array([0.1, 0.3, 0.35, 0.5, 1.0, 2.0, 9.0])
    inner = np.linspace(edge[:-1], edge[1:], 17, axis=1)
    share = rng.dirichlet(np.ones(6))[None]
    spectra, state = spectra_of(1, share, inner), words(4)
    drawn = [draw_energy_near(spectra, 0, centre, weight, state) for _ in range(4000)]
    grid = np.linspace(0.1, 9.0, 400_001)
    density = (share[0] / np.diff(edge))[np.searchsorted(edge, grid[:-1], side="right") - 1]
    middle = (grid[1:] + grid[:-1]) / 2
    exponent = -0.5 * weight * (middle - centre) ** 2
    cdf = np.concatenate([[0.0], np.cumsum(density * np.exp(exponent - exponent.max()))])
    ranks = np.interp(drawn, grid, cdf / cdf[-1])
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


def test_cells_keep_their_spectrum_where_nothing_is_asked_of_them() -> None:
    """Wanted moments drawn from the cells' own distribution leave the spectrum as it is."""
    out = filled([12 * 1.05, 0.0, 0.0, 1.1, 1.1], 12, rows=500)
    energies = out[out > 0]
    assert energies.std() == pytest.approx(1.9 / np.sqrt(12), rel=0.1)
