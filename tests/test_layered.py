"""The layered model: densities, symmetry, cells with the wanted moments, engines that agree."""

from __future__ import annotations

import shutil
import warnings
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import integrate, stats
from torch.nn.functional import softplus

from caloforge.api import load_model, train
from caloforge.beam import particles
from caloforge.conversion import convert
from caloforge.errors import CaloforgeWarning, ConfigError, ModelError
from caloforge.generate import generate_to_store, open_engine
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import build_model
from caloforge.models.layered import Layered
from caloforge.models.layered.features import Moments
from caloforge.models.layered.field import Field
from caloforge.models.layered.groups import groups_of
from caloforge.models.layered.hits import Hits
from caloforge.models.layered.mixtures import Chain, log_density
from caloforge.models.layered.spectra import Spectra as TorchSpectra
from caloforge.models.layered.spectra import equal_bins, splines
from caloforge.models.layered.symmetry import Mirrors
from caloforge.runtime import shower_noise
from caloforge.runtime.engine import Engine
from caloforge.runtime.trained import warn_outside, with_impact
from caloforge.sampling.cells import Layers
from caloforge.sampling.filling import fill
from caloforge.sampling.frame import Frame
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.hits import Sites, draw_hits, empty_sites, look
from caloforge.sampling.mixtures import Chain as Weights
from caloforge.sampling.mixtures import draw_chains
from caloforge.sampling.moves import move_hits
from caloforge.sampling.random import keys_of, seed, uniform
from caloforge.sampling.spectra import (
    Places,
    Spectra,
    draw_energy,
    draw_energy_near,
    spectra_of,
    tabulate,
)
from caloforge.showers import Incident
from caloforge.store import open_showers, write_showers
from helpers import SAMPLES, lcd_showers

SHORT = [
    "training.max_steps=6",
    "training.batch_size=8",
    "training.precision=32-true",
    "training.log_every=1",
    "model.condition=[energy]",
    "model.cell_steps=2",
    "model.energy_steps=2",
    "model.shape_steps=2",
    "model.refine_steps=2",
]


def words(number: int = 1) -> np.ndarray:
    state = np.empty(2, np.uint64)
    seed(state, np.array([number, 7], np.uint64), 0)
    return state


# ------------------------------------------------------------------------------ random


def test_random_numbers_are_even_and_streams_differ() -> None:
    state, other = words(), words()
    seed(other, np.array([1, 7], np.uint64), 1)
    draws = np.array([[uniform(state), uniform(other)] for _ in range(20_000)])
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03


def test_neighbouring_keys_give_unlike_showers() -> None:
    keys = keys_of(np.array([[0.0, 0.5, 0.25, 0.75], [2.0**-24, 0.5, 0.25, 0.75]]))
    first = []
    for key in keys:
        state = np.empty(2, np.uint64)
        seed(state, key, 0)
        first.append([uniform(state) for _ in range(2000)])
    assert abs(np.corrcoef(first[0], first[1])[0, 1]) < 0.08


# --------------------------------------------------------------------------- densities


def test_a_mixture_is_a_density() -> None:
    parameters = torch.tensor([0.3, -1.0, -0.5, 1.5, -1.0, 0.2])

    def p(x: float) -> float:
        return float(log_density(parameters, torch.tensor(x)).exp())

    assert integrate.quad(p, -12, 12)[0] == pytest.approx(1.0, abs=1e-4)


def test_a_chain_only_looks_back() -> None:
    torch.manual_seed(0)
    chain = Chain(5, 4, 8, 3)
    h, value = torch.randn(1, 5), torch.randn(1, 4, requires_grad=True)
    chain(h, value)[0, 1].backward()
    assert value.grad is not None
    assert (value.grad[0, :2] != 0).all()
    assert (value.grad[0, 2:] == 0).all()


def test_numbers_are_drawn_from_the_density_that_is_learned() -> None:
    """The compiled chain against the torch density: probability integral transforms are even."""
    torch.manual_seed(1)
    chain = Chain(5, 2, 8, 3)
    h = torch.randn(1, 5)
    state = {f"c.{name}": value.detach().numpy() for name, value in chain.state_dict().items()}
    weights = Weights(state, "c")
    n = 4000
    inner = np.tile(weights.first(h.numpy()), (n, 1)).reshape(n, 2, 8)
    out = np.empty((n, 2), np.float32)
    rows = np.stack([words(k) for k in range(n)])
    bounds = np.array([[-50, -50], [50, 50]], np.float32)
    draw_chains(
        np.ascontiguousarray(inner, np.float32),
        weights.earlier,
        weights.last,
        weights.last_bias,
        bounds,
        np.ones(n, np.float32),
        rows,
        out,
    )
    grid = torch.linspace(-30, 30, 6001)
    with torch.no_grad():
        first = chain(h, torch.stack([grid, torch.zeros_like(grid)], -1)[:, None].squeeze(1))[:, 0]
        cdf = torch.cumsum(first.exp(), 0) * 0.01
        assert stats.kstest(np.interp(out[:, 0], grid, cdf), "uniform").pvalue > 1e-3
        ranks = []
        for a, b in out[:400]:
            pair = torch.stack([torch.full_like(grid, float(a)), grid], -1)
            ranks.append(np.interp(b, grid, torch.cumsum(chain(h, pair)[:, 1].exp(), 0) * 0.01))
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


# ----------------------------------------------------------------------------- spectra


def test_bins_share_hits_and_energy() -> None:
    energy = np.random.default_rng(0).lognormal(-1, 1.5, 50_000).astype(np.float32)
    energy = energy[energy > 1e-3]
    inner, count = equal_bins(energy, 32, 1e-3)
    assert (np.diff(inner, axis=1) >= 0).all()
    assert (inner[1:, 0] == inner[:-1, -1]).all()
    assert count.sum() == len(energy)
    sums = np.histogram(energy, np.append(inner[:, 0], inner[-1, -1]), weights=energy)[0]
    measure = 0.5 * count / count.sum() + 0.5 * sums / sums.sum()
    assert measure == pytest.approx(1 / 32, abs=0.004)


def test_spectra_are_drawn_as_they_are_learned() -> None:
    torch.manual_seed(3)
    energy = np.random.default_rng(1).lognormal(-1, 1.5, 20_000).astype(np.float32)
    network = TorchSpectra(16, 8, 6)
    network.fit(energy[energy > 1e-3], 1e-3)
    state = {f"s.{name}": value.detach().numpy() for name, value in network.state_dict().items()}
    spectra = tabulate(state, "s", 8)
    share = network.shares().detach().numpy().reshape(64, 16)
    assert np.diff(spectra.rising, prepend=0.0, axis=1) == pytest.approx(share, abs=1e-6)
    state_words = words(5)
    drawn = np.array([draw_energy(spectra, 20, state_words) for _ in range(20_000)])
    found = np.histogram(drawn, np.append(spectra.inner[:, 0], spectra.inner[-1, -1]))[0]
    expected = np.diff(spectra.rising[20], prepend=0.0) * len(drawn)
    assert stats.chisquare(found, expected).pvalue > 1e-3
    assert drawn.mean() == pytest.approx(spectra.mean[20], rel=0.05)
    place = torch.tensor([[0.3, -0.7]])
    shares = [network.log_share(place, torch.tensor([k])).exp() for k in range(16)]
    assert float(torch.cat(shares).sum().detach()) == pytest.approx(1.0, abs=1e-5)


def test_splines_tell_nodes_apart_smoothly() -> None:
    basis = splines(128, 32)
    assert basis.shape == (32, 128)
    assert basis.sum(0) == pytest.approx(np.ones(128))
    assert ((basis > 0).sum(0) <= 4).all()
    assert np.array_equal(splines(16, 16), np.eye(16))


def test_means_of_spectra_are_those_of_what_is_drawn() -> None:
    torch.manual_seed(4)
    energy = np.random.default_rng(2).lognormal(-1, 1.5, 20_000).astype(np.float32)
    network = TorchSpectra(16, 8, 6)
    network.fit(energy[energy > 1e-3], 1e-3)
    state = {f"s.{name}": value.detach().numpy() for name, value in network.state_dict().items()}
    spectra = tabulate(state, "s", 8)
    node = np.array([[2, 5], [0, 0], [7, 7]])
    place = torch.from_numpy(np.log((node + 1e-6) / (7 - node + 1e-6)))  # sigmoid^-1(node / 7)
    mean, variance = network.moments(place.float())
    number = node[:, 0] * 8 + node[:, 1]
    assert mean.detach().numpy() == pytest.approx(spectra.mean[number], rel=1e-3)
    assert variance.detach().numpy() == pytest.approx(spectra.variance[number], rel=1e-2)


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
        move_hits(
            20.0, sites, 3, beside, hit, np.zeros(3, np.uint32), places, spectra, x, y,
            (0.0, 0.0), none, (0.0, 0.0, 0.0, 0.0, 0.0), state,
        )  # fmt: skip
        found[ways.index(sorted(hit[:3]))] += 1
    same = np.array([sure is None or sure in way for way in ways])
    assert found[same].sum() > 0.9 * n
    expected = found[same].sum() * weight[same] / weight[same].sum()
    assert stats.chisquare(found[same], expected).pvalue > 1e-3


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
    found, place, energy = fill(
        decoded, first, first, np.full(rows, hits), np.tile(numbers, (rows, 1)), layers,
        flat_spectra(), keys,
    )  # fmt: skip
    out = np.zeros((rows, 49), np.float32)
    out[np.repeat(np.arange(rows), found), place] = energy
    return out


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
    free = filled([1.0, 0.0, 0.0, 1.0, 1.0], 1, rows=1)
    assert (free > 0).sum() == 1
    out = filled([12 * 1.05, 0.0, 0.0, 1.1, 1.1], 12, rows=500)
    energies = out[out > 0]
    assert energies.mean() == pytest.approx(1.05, rel=1e-4)
    assert energies.std() == pytest.approx(1.9 / np.sqrt(12), rel=0.1)


# ---------------------------------------------------------------------------- symmetry


def test_images_keep_energies_and_mirror_moments() -> None:
    showers = lcd_showers(6)
    grid = LayerGrid.of(showers.calorimeter)
    mirrors = Mirrors(grid, ("energy", "x", "y"))
    assert len(mirrors) == 8
    dense = torch.from_numpy(showers.dense())
    shower, place = (dense > 0).nonzero(as_tuple=True)
    energy = dense[shower, place]
    condition = torch.tensor([[1e4, 1.0, -2.0]]).repeat(6, 1)
    moments = Moments(grid)

    def described(place: torch.Tensor) -> torch.Tensor:
        size = torch.Size((625, 6, 25))
        found: torch.Tensor = moments(Hits(shower * 25 + place // 625, place % 625, energy, size))
        return found

    before = described(place)
    for number in range(8):
        which = torch.full((6,), number)
        changed = mirrors.conditions(condition, which)
        after, matrix = described(mirrors.places(shower, place, which)), mirrors.matrix[number]
        assert torch.allclose(after[..., :2], before[..., :2], rtol=1e-5)
        assert torch.allclose(after[..., 2:4], before[..., 2:4] @ matrix.T, atol=1e-3)
        assert torch.allclose(changed[:, 1:], condition[:, 1:] @ matrix.T)
    angled = Mirrors(grid, ("energy", "theta"))
    assert len(angled) == 4
    turned = angled.conditions(torch.tensor([[1e4, 1.2]]).repeat(6, 1), torch.full((6,), 2))
    assert turned[:, 1] == pytest.approx(np.pi - 1.2, abs=1e-6)


def test_far_cells_are_grouped_evenly() -> None:
    grid = LayerGrid.of(load_detector("lcd-ecal-25"))
    group = groups_of(grid)
    count = np.bincount(group)
    radius = np.hypot(grid.x[0], grid.y[0])
    assert (count[group[radius < 8]] == 1).all()
    assert count[group[radius > 8.5]].mean() > 5
    turned = group.reshape(25, 25).T[::-1].ravel()  # a quarter turn maps groups onto groups
    assert len(set(zip(group, turned, strict=True))) == group.max() + 1


@pytest.mark.parametrize(
    ("name", "images"), [("calogan-lar", 4), ("par04-siw", 8), ("lcd-ecal-25", 8)]
)
def test_any_calorimeter(name: str, images: int) -> None:
    calorimeter = load_detector(name)
    model = build_model("layered", calorimeter, {"decoder": [8], "encoder": [8]})
    assert isinstance(model, Layered)
    assert len(model.mirrors) == images
    grid = LayerGrid.of(calorimeter)
    assert sorted(grid.number[grid.number >= 0]) == list(range(calorimeter.n_cells))


# ------------------------------------------------------------------------------- frame


ANGLED = {"condition": ("energy", "theta", "x", "y", "z"), "margin": 8, "depth": 45.0}


def angled_particles(n: int, seed: int = 0) -> np.ndarray:
    """Energies, angles and points (n, 5), at a depth of 45 mm."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(np.pi / 3, 2 * np.pi / 3, n)
    x, y = rng.uniform(-2.5, 2.5, (2, n))
    return np.column_stack([np.full(n, 5e4), theta, x, y, np.full(n, 45.0)])


def test_the_frame_follows_the_particle() -> None:
    """A line's own cell lies in the middle of the frame in every layer."""
    calorimeter = load_detector("lcd-ecal")
    frame = Frame(calorimeter, ANGLED)
    asked = angled_particles(200)
    begin, apart = frame.places(asked)
    assert np.abs(apart).max() <= 0.5
    slope = 1 / np.tan(asked[:, 1])
    for layer, z in enumerate(frame.middle):
        x = asked[:, 2] + (z - 45.0) * slope
        cell = calorimeter.locate(x, asked[:, 3], np.full(200, z)) - calorimeter.layer_offset[layer]
        place = cell + begin[:, layer]
        assert frame.grid.x[layer, place] == pytest.approx(0.0, abs=1e-9)
        assert x / 5.0 - calorimeter.cell_positions[cell, 0] / 5.0 == pytest.approx(
            apart[:, layer], abs=1e-6
        )


def test_the_depth_of_the_point_does_not_matter() -> None:
    frame = Frame(load_detector("lcd-ecal"), ANGLED)
    asked = angled_particles(50)
    front = asked.copy()
    front[:, 2] -= 45.0 / np.tan(asked[:, 1])
    front[:, 4] = 0.0
    for one, other in zip(frame.places(asked), frame.places(front), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert frame.known(asked) == pytest.approx(frame.known(front), abs=1e-9)
    assert frame.known(asked)[:, 0] == pytest.approx(np.log(5e4))


def test_showers_keep_their_cells_in_the_frame() -> None:
    calorimeter = load_detector("lcd-ecal")
    model = build_model("layered", calorimeter, {**ANGLED, "encoder": [8], "decoder": [8]})
    assert isinstance(model, Layered)
    rng = np.random.default_rng(4)
    cells = np.where(rng.random((5, 25, 2601)) < 0.02, rng.uniform(0.1, 1, (5, 25, 2601)), 0.0)
    asked = torch.from_numpy(angled_particles(5)).float()
    dense = torch.from_numpy(cells.reshape(5, -1)).float()
    framed = model._framed(*model._hits(dense), asked)
    hits, there = framed.hits, model._there(framed.begin)
    assert hits.sums(hits.energy[:, None])[..., 0].numpy() == pytest.approx(cells.sum(-1), rel=1e-5)
    assert (there.sum(0) == 2601).all()
    found = torch.zeros(hits.size)
    found.view(-1)[hits.place] = hits.energy
    assert (found[~there] == 0).all()
    back = found.permute(1, 2, 0)[there.permute(1, 2, 0)].reshape(5, 25, 2601)
    assert np.array_equal(back.numpy(), cells.astype(np.float32))


def test_links_join_hits_to_all_cells_beside_them() -> None:
    """Against the definition, cell by cell, for hits of two showers."""
    grid = LayerGrid.of(load_detector("lcd-ecal-25").window(5, 5, "few"))
    group = np.arange(25) // 2
    field = Field(grid, group)
    torch.manual_seed(6)
    torch.nn.init.normal_(field.coupling)
    torch.nn.init.normal_(field.rings)
    logits, hit = torch.randn(25, 2, 25), torch.rand(25, 2, 25) < 0.2
    cell, shower, layer = hit.nonzero(as_tuple=True)
    hits = Hits(shower * 25 + layer, cell, torch.ones(len(cell)), logits.shape)
    assert torch.equal(hits.mask().view_as(hit), hit)
    weight = torch.rand(2, 25)
    pseudo, energy = 0.0, 0.0
    for c, b, k in product(range(25), range(2), range(25)):
        given = logits[c, b, k]
        for other in grid.beside[k, c]:
            if other >= 0 and hit[other, b, k]:
                coupling = field.couplings()[k, group[c]] + field.couplings()[k, group[other]]
                given = given + softplus(0.5 * (coupling - logits[c, b, k] - logits[other, b, k]))
        energy -= float(hit[c, b, k] * (logits[c, b, k] + given) / 2) / 2
        pseudo += float(weight[b, k] * (softplus(given) - hit[c, b, k] * given)) / 2
    assert float(field.pseudo(logits, hits, weight)) == pytest.approx(pseudo, rel=1e-4)
    assert float(field.energy(logits, hits)) == pytest.approx(energy, rel=1e-4)


def test_only_equal_cartesian_layers_have_a_margin() -> None:
    with pytest.raises(ConfigError, match="calogan-lar has not the same cartesian cells"):
        Frame(load_detector("calogan-lar"), ANGLED)


def test_expected_hits_and_moments_against_the_definition() -> None:
    """chi2 of a layer's hits and moments, worked out with plain arrays; no coupling."""
    calorimeter = load_detector("lcd-ecal-25").window(5, 5, "few")
    model = build_model("layered", calorimeter, {"encoder": [8], "decoder": [8]})
    assert isinstance(model, Layered)
    cells, grid = model.cells, model.frame.grid
    with torch.no_grad():
        cells.field.coupling.fill_(-100.0)
        cells.spectra.fit(np.linspace(0.1, 2, 2000, dtype=np.float32), 1e-3)
        torch.nn.init.normal_(cells.offset)
    rng = np.random.default_rng(3)
    energy = np.where(rng.random(25) < 0.5, rng.uniform(0.2, 1.5, 25), 0.0)
    cell = energy.nonzero()[0]
    row = torch.full((len(cell),), 7)
    size = torch.Size((25, 1, 25))
    deposit = torch.from_numpy(energy[cell]).float()
    hits = Hits(row, torch.from_numpy(cell), deposit, size)
    decoded, logits = torch.randn(25, 3, cells.groups), torch.randn(size)
    found = cells.apart(decoded, logits, hits, model.moments(hits))
    chance = 1 / (1 + np.exp(-logits[:, 0, 7].numpy()))
    spread = (chance * (1 - chance)).sum() + 0.1
    chi2 = (chance.sum() - len(cell)) ** 2 / spread
    assert float(found["hits"].detach()) == pytest.approx(0.5 * chi2, rel=1e-4)
    said = (decoded[7, 1:, cells.group[cell]] + cells.offset[7, 1:, cell]).t()
    mean, variance = (value.detach().numpy() for value in cells.spectra.moments(said))
    e, x, y = energy[cell], grid.x[7, cell], grid.y[7, cell]
    x, y = x - (e @ x) / e.sum(), y - (e @ y) / e.sum()
    basis = [np.ones_like(x), x, y, x**2 - e @ x**2 / e.sum(), y**2 - e @ y**2 / e.sum()]
    chi2 = sum(((e - mean) @ b) ** 2 / (variance @ b**2 + 0.1) for b in basis)
    assert float(found["moments"].detach()) == pytest.approx(0.5 * chi2, rel=1e-3)


# ----------------------------------------------------------------------- the whole model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layered")
    data = write_showers(folder / "train.h5", lcd_showers(32))
    return train("layered", data, folder / "model", overrides=SHORT)


def test_every_part_is_trained(model: Path) -> None:
    rows = (model / "training" / "metrics.csv").read_text().splitlines()
    assert rows[0].startswith("step,epoch,cells/hits")
    cells, stages = rows[1].split(","), rows[4].split(",")
    refined = rows[-1].split(",")
    parts = [3, 4, 6]  # numbers of losses of the three phases
    for row, phase in ((cells, 0), (stages, 1), (refined, 2)):
        expected = [k != phase for k, size in enumerate(parts) for _ in range(size)]
        assert [value == "nan" for value in row[2:]] == expected


def test_engines_agree_and_batches_do_not_matter(model: Path, tmp_path: Path) -> None:
    compact, torch_engine = open_engine(model), open_engine(model, "torch")
    assert compact.name == "compact"
    incident = particles(70, "10:100", seed=2)
    samples = []
    for engine, size in ((compact, 70), (compact, 9), (compact, 1), (torch_engine, 33)):
        path = tmp_path / f"{engine.name}-{size}.h5"
        generate_to_store(engine, incident, path, seed=2, batch_size=size)
        samples.append(open_showers(path).read())
    for other in samples[1:]:
        assert np.array_equal(other.offset, samples[0].offset)
        assert np.array_equal(other.cell, samples[0].cell)
        assert np.allclose(other.energy, samples[0].energy, rtol=1e-6, atol=0)


def test_the_sum_of_the_cells_is_the_visible_energy(model: Path) -> None:
    engine = open_engine(model)
    noise = shower_noise(1, 0, 40, 4, "uniform")
    condition = np.linspace(1e4, 1e5, 40, dtype=np.float32)[:, None]
    energy, hits, *_ = engine.sampler.layers(condition, noise)  # type: ignore[attr-defined]
    dense = engine.run(condition, noise).reshape(40, 25, 625)
    assert np.array_equal((dense > 0).sum(2), hits)
    assert dense.sum(2) == pytest.approx(energy, rel=1e-3, abs=0.05)


def test_showers_at_an_angle_lie_around_their_line(tmp_path: Path) -> None:
    """The recipe for angles on real electrons: even hardly trained it keeps to the axis."""
    data = tmp_path / "angle.h5"
    convert(SAMPLES / "electrons_angle.h5", data)
    overrides = [o for o in SHORT if "condition" not in o]
    made = load_model(train("layered-angle", data, tmp_path / "m", overrides=overrides))
    for theta in (60, 120):
        drawn = made.generate(energy=50, theta=theta, n=60, seed=4)
        assert drawn.incident["theta"] == pytest.approx(np.radians(theta))
        assert (drawn.incident["z"] == 45.0).all()
        number, x = drawn.cell // 2601, drawn.calorimeter.cell_positions[drawn.cell, 0]
        off = []
        for layer, one in enumerate(drawn.calorimeter.layers):
            column, hits = np.unique(x[number == layer], return_counts=True)
            line = (one.z + one.thickness / 2 - 45.0) / np.tan(np.radians(theta))
            off.append(column[hits.argmax()] - line)
        assert np.median(np.abs(off)) < 5.0  # a cell; the line itself goes 50 mm to the side
    with pytest.warns(CaloforgeWarning, match="theta"):
        made.generate(energy=50, theta=40, n=2)


def test_impact_points_are_drawn_where_none_are_given(tmp_path: Path) -> None:
    showers = lcd_showers(32)
    n = len(showers)
    columns = {"x": np.linspace(-2.5, 2.5, n), "y": np.linspace(2.5, -2.5, n)}
    incident = type(showers.incident)({**showers.incident.columns, **columns})
    sample = type(showers)(
        showers.calorimeter, incident, showers.offset, showers.cell, showers.energy
    )
    data = write_showers(tmp_path / "train.h5", sample)
    overrides = [o for o in SHORT if "condition" not in o]
    made = load_model(train("layered", data, tmp_path / "m", overrides=overrides))
    drawn = made.generate(energy=50, n=300, seed=4)
    assert stats.kstest((drawn.incident["x"] + 2.5) / 5, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn.incident["x"], drawn.incident["y"])[0, 1]) < 0.2
    again = made.generate(energy=50, n=10, seed=4)
    assert np.array_equal(again.incident["x"], drawn.incident["x"][:10])


def test_energies_outside_the_training_are_said(model: Path) -> None:
    opened = load_model(model)
    with pytest.warns(CaloforgeWarning, match=r"energy: 2 of 2 showers at 200 to 300 GeV"):
        opened.generate(energy=[200, 300])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened.generate(energy=50)


def test_points_at_another_depth_are_compared_at_that_of_the_training() -> None:
    """A point far before the front face is inside the trained range if its line is."""
    ranges = {"theta": (1.0, 2.1), "x": (-2.5, 2.5), "z": (45.0, 45.0)}
    source = {"training_ranges": ranges, "training_showers": 5000}
    description = {"condition": ["energy", "theta", "x", "z"], "provenance": {"source": source}}
    engine = cast(Engine, SimpleNamespace(description=description))
    theta = np.full(3, 1.2)
    start = 1.0 - 1045.0 / np.tan(theta)
    line = Incident({"energy": np.full(3, 5e4), "theta": theta, "x": start, "z": np.full(3, -1e3)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_outside(engine, line)
    with pytest.warns(CaloforgeWarning, match="x: 3 of 3 showers"):
        warn_outside(engine, Incident({**line.columns, "x": start + 10.0}))
    nowhere = Incident({"energy": np.full(3, 5e4), "theta": theta})
    drawn = with_impact(engine, nowhere, 1, 0)
    assert (drawn["z"] == 45.0).all()
    at_front = with_impact(engine, Incident({**nowhere.columns, "x": np.zeros(3)}), 1, 0)
    assert (at_front["z"] == 0.0).all()


def test_a_damaged_model_is_one_error(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    (folder / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="copy or train it again"):
        open_engine(folder)


def test_compact_runs_its_own_kind_only() -> None:
    with pytest.raises(ConfigError, match="compact cannot run a '3dgan'"):
        open_engine("lcd-ecal-25-3dgan", "compact")


def test_the_energy_comes_first(small: Calorimeter) -> None:
    with pytest.raises(ConfigError, match="begins with energy"):
        build_model("layered", small, {"condition": ["x", "energy"]})
