"""The layered model: densities, symmetry, cells with the wanted moments, engines that agree."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from caloforge.api import load_model, train
from caloforge.beam import particles
from caloforge.errors import CaloforgeWarning, ConfigError, ModelError
from caloforge.generate import generate_to_store, open_engine
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import build_model
from caloforge.models.layered import Layered
from caloforge.models.layered.features import Moments
from caloforge.models.layered.mixtures import Chain, log_density
from caloforge.models.layered.spectra import Spectra as TorchSpectra
from caloforge.models.layered.spectra import equal_bins
from caloforge.models.layered.symmetry import Mirrors
from caloforge.runtime import shower_noise
from caloforge.sampling.cells import fill_layers
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.hits import draw_hits
from caloforge.sampling.mixtures import Chain as Weights
from caloforge.sampling.mixtures import draw_chains
from caloforge.sampling.random import keys_of, seed, uniform
from caloforge.sampling.spectra import Spectra, draw_energy, tabulate
from caloforge.store import open_showers, write_showers
from helpers import lcd_showers

SHORT = [
    "training.max_steps=4",
    "training.batch_size=8",
    "training.precision=32-true",
    "training.log_every=1",
    "model.condition=[energy]",
    "model.cell_steps=2",
    "model.energy_steps=2",
    "model.shape_steps=2",
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
        np.ones(n, bool),
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
    network = TorchSpectra(16, 8)
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
    total = sum(network.log_share(place, torch.tensor([k])).exp() for k in range(16))
    assert float(total) == pytest.approx(1.0, abs=1e-5)


# ------------------------------------------------------------------------------- cells


def flat_spectra() -> Spectra:
    """Two by two nodes, all with energies even between 0.1 and 2 MeV."""
    edge = np.linspace(0.1, 2.0, 9)
    inner = np.linspace(edge[:-1], edge[1:], 17, axis=1)
    rising = np.tile(np.arange(1, 9) / 8, (4, 1))
    return Spectra(2, rising, np.full(4, 1.05), np.full(4, 1.9**2 / 12), inner)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(0, 10_000))
def test_hits_are_exactly_as_many_as_wanted(wanted: int, number: int) -> None:
    logits = np.linspace(-4, 4, 25).astype(np.float32)
    used, chance, rising = np.empty(25, np.uint8), np.empty(25), np.empty(25)
    assert draw_hits(logits, wanted, used, chance, rising, words(number)) == wanted
    assert used.sum() == wanted


def test_cells_that_cannot_be_hit_are_not() -> None:
    logits = np.full(25, -1e4, np.float32)
    logits[3:9] = 0.0
    used, chance, rising = np.empty(25, np.uint8), np.empty(25), np.empty(25)
    for number in range(20):
        assert draw_hits(logits, 10, used, chance, rising, words(number)) == 6
        assert used[3:9].all()


def filled(numbers: list[float], hits: int, rows: int = 200, swaps: float = 4.0) -> np.ndarray:
    """Layers of 7 x 7 cells with these energies, centres and widths: (rows, 49) MeV."""
    x, y = (a.ravel() - 3.0 for a in np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij"))
    decoded = np.zeros((rows, 3 * 49), np.float32)
    decoded[:, :49] = (1.0 - 0.3 * (x**2 + y**2)).astype(np.float32)
    out = np.zeros((rows, 49), np.float32)
    keys = np.stack([np.arange(rows), np.arange(rows)], axis=1).astype(np.uint64)
    fill_layers(
        decoded, np.arange(49), np.zeros((1, 3, 49), np.float32), np.zeros(rows, np.int64),
        np.full(rows, hits), np.tile(numbers, (rows, 1)), np.array([0.01, 0.05, 0.05]), swaps,
        1e-3, x[None], y[None], flat_spectra(), keys, out,
    )  # fmt: skip
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
    cells = torch.from_numpy(showers.dense()).view(6, 25, 625)
    condition = torch.tensor([[1e4, 1.0, -2.0]]).repeat(6, 1)
    moments = Moments(grid)
    before = moments(cells)
    for which in range(8):
        image, changed = mirrors(cells, condition, torch.full((6,), which))
        after, matrix = moments(image), mirrors.matrix[which]
        assert torch.allclose(after[..., :2], before[..., :2], rtol=1e-5)
        assert torch.allclose(after[..., 2:4], before[..., 2:4] @ matrix.T, atol=1e-3)
        assert torch.allclose(changed[:, 1:], condition[:, 1:] @ matrix.T)
    angled = Mirrors(grid, ("energy", "theta"))
    assert len(angled) == 4
    _, turned = angled(cells, torch.tensor([[1e4, 1.2]]).repeat(6, 1), torch.full((6,), 2))
    assert turned[:, 1] == pytest.approx(np.pi - 1.2, abs=1e-6)


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


# ----------------------------------------------------------------------- the whole model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layered")
    data = write_showers(folder / "train.h5", lcd_showers(32))
    return train("layered", data, folder / "model", overrides=SHORT)


def test_every_part_is_trained(model: Path) -> None:
    rows = (model / "training" / "metrics.csv").read_text().splitlines()
    assert rows[0].startswith("step,epoch,cells/hits")
    cells, stages = rows[1].split(","), rows[-1].split(",")
    assert [value == "nan" for value in cells[2:]] == [False] * 3 + [True] * 4
    assert [value == "nan" for value in stages[2:]] == [True] * 3 + [False] * 4


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
    energy, hits, _, _ = engine.sampler.layers(condition, noise)  # type: ignore[attr-defined]
    dense = engine.run(condition, noise).reshape(40, 25, 625)
    assert np.array_equal((dense > 0).sum(2), hits)
    assert dense.sum(2) == pytest.approx(energy, rel=1e-3, abs=0.05)


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
