"""The layered model as a whole: training, engines that agree, angles, impact points, errors."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy import stats

from caloforge.api import load_model, train
from caloforge.beam import particles
from caloforge.conversion import convert
from caloforge.errors import CaloforgeWarning, ConfigError, ModelError
from caloforge.generate import generate_to_store, open_engine
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import build_model
from caloforge.models.base import TrainingSample
from caloforge.models.layered import Layered
from caloforge.runtime import shower_batches, shower_noise
from caloforge.runtime.engine import Engine
from caloforge.runtime.trained import warn_outside, with_impact
from caloforge.sampling import LayeredSampler
from caloforge.showers import Incident
from caloforge.simulate.gflash import GFlash
from caloforge.store import open_showers, write_showers
from helpers import SAMPLES, lcd_showers, random_showers

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


@pytest.mark.parametrize("name", ["lcd-ecal-25", "calogan-lar"])
def test_the_sampler_says_what_the_torch_networks_say(name: str) -> None:
    """Decoder, offsets and couplings with those of rings: twins give the same numbers."""
    torch.manual_seed(2)
    model = build_model("layered", load_detector(name), {"encoder": [8], "decoder": [16]})
    assert isinstance(model, Layered)
    cells = model.cells
    for parameter in (cells.rings, cells.offset, cells.field.rings, cells.field.coupling):
        torch.nn.init.normal_(parameter)
    state = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    sampler = LayeredSampler(model.calorimeter, model.config.model_dump(), state)
    real = model.frame.grid.number >= 0
    offsets = cells.offsets().detach().numpy()
    assert np.allclose(sampler.about.offset[:, 0][real], offsets[:, 0][real], rtol=1e-5)
    assert np.allclose(sampler.about.offset[:, 1:], offsets[:, 1:], rtol=1e-5)
    couplings = cells.field.couplings().detach().numpy()[:, cells.group.numpy()]
    assert np.allclose(sampler.about.spill, np.exp(0.5 * couplings), rtol=1e-5)
    layers = len(real)
    features, latents = torch.randn(4, layers, 6 + 1), torch.randn(4, layers, cells.latents)
    said = cells.decode(features, latents).detach().numpy().reshape(4 * layers, -1)
    place = np.tile(sampler.embedding, (4, 1, 1))
    sees = np.concatenate([features.numpy(), latents.numpy(), place], axis=2)
    found = sampler.last(sampler.decoder(sees.reshape(4 * layers, -1)))
    assert np.allclose(found, said, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["calogan-lar", "par04-siw"])
def test_showers_of_any_calorimeter_are_whole(name: str) -> None:
    """Showers before the first step, in layers of different sizes and in cylinders."""
    calorimeter = load_detector(name)
    model = build_model("layered", calorimeter, {"encoder": [8], "decoder": [16]})
    assert isinstance(model, Layered)
    showers = random_showers(40, calorimeter, occupancy=0.05)
    model.prepare(TrainingSample(40, {}, showers))
    condition = torch.full((8, 1), 5e4)
    noise = torch.from_numpy(shower_noise(1, 0, 8, 4, "uniform"))
    dense = model.eval()(condition, noise)
    assert torch.isfinite(dense).all()
    assert (dense >= 0).all()
    assert (dense.sum(1) > 0).all()


def test_conditions_that_are_missing_are_named(model: Path) -> None:
    engine = open_engine(model)
    noise = shower_noise(1, 0, 3, 4, "uniform")
    with pytest.raises(ConfigError, match="2 columns; this model needs energy"):
        engine.run(np.full((3, 2), 5e4, np.float32), noise)


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


def test_the_calogan_recipe_trains(tmp_path: Path) -> None:
    """The recipe on classical showers: hardly trained, it keeps the visible energy."""
    lar = load_detector("calogan-lar")
    energy = np.random.default_rng(3).uniform(1e4, 1e5, 64)
    incident = Incident(
        {"energy": energy, "pdg": np.full(64, 11), "x": 0 * energy, "y": 0 * energy}
    )
    data = write_showers(tmp_path / "lar.h5", GFlash(lar).simulate(incident, seed=1))
    overrides = [o for o in SHORT if "condition" not in o]
    made = load_model(train("layered-calogan", data, tmp_path / "m", overrides=overrides))
    drawn = made.generate(energy=50, n=50, seed=4)
    assert drawn.calorimeter.hash == lar.hash
    assert np.median(drawn.total_energy) == pytest.approx(5e4, rel=0.2)


def test_the_shipped_calogan_electrons_leak_little_and_get_deeper_with_energy() -> None:
    """All material counts in this calorimeter; the maximum moves by ln E radiation lengths."""
    model = load_model("calogan-lar-electron")
    first = []
    for energy in (5.0, 20.0, 80.0):
        showers = model.generate(energy=energy, n=60, seed=1)
        assert showers.total_energy == pytest.approx(1e3 * energy, rel=0.02)
        first.append(showers.layer_energy[:, 0].mean() / energy)
    assert first[0] > first[1] > first[2]


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


def test_weights_that_are_not_finite_are_one_error(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    state = load_file(folder / "weights.safetensors")
    state["cells.last.bias"][0] = np.nan
    save_file(state, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=r"weights 'cells.last.bias' are not finite"):
        open_engine(folder)


@pytest.mark.parametrize("name", ["energies.decide", "shapes", "cells.decoder"])
def test_networks_that_overflow_are_one_error(model: Path, name: str, tmp_path: Path) -> None:
    """Compiled loops must never see NaN: an index out of memory would end the process."""
    folder = shutil.copytree(model, tmp_path / "m")
    state = load_file(folder / "weights.safetensors")
    for key in state:
        if key.startswith(name.split(".")[0]) and key.endswith("weight"):
            state[key] = np.full_like(state[key], 3e38)
    save_file(state, folder / "weights.safetensors")
    engine = open_engine(folder)
    with np.errstate(all="ignore"), pytest.raises(ModelError, match="are not finite|no hits"):
        list(shower_batches(engine, Incident({"energy": [5e4] * 9}), seed=1))


def test_compact_runs_its_own_kind_only() -> None:
    with pytest.raises(ConfigError, match="compact cannot run a '3dgan'"):
        open_engine("lcd-ecal-25-3dgan", "compact")


def test_the_energy_comes_first(small: Calorimeter) -> None:
    with pytest.raises(ConfigError, match="begins with energy"):
        build_model("layered", small, {"condition": ["x", "energy"]})
