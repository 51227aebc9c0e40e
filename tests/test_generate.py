"""Generation: the same showers whatever the batch, bounded memory, provenance, bad requests."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from caloforge.api import load_model, train
from caloforge.beam import like, particles
from caloforge.errors import CaloforgeError, ConfigError, ModelError, OutputError
from caloforge.generate import generate_to_store, open_engine
from caloforge.geometry import Calorimeter
from caloforge.runtime import normal_noise, shower_batches, uniform_noise
from caloforge.runtime.engine import condition_of
from caloforge.showers import Incident, Provenance
from caloforge.store import open_showers, write_showers
from helpers import lcd_showers, random_showers

STEPS = ["training.batch_size=4", "training.max_steps=2", "training.precision=32-true"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_showers(tmp_path_factory.mktemp("data") / "train.h5", lcd_showers(12))


@pytest.fixture(scope="module", params=["3dgan", "library"])
def model(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return train(request.param, data, tmp_path_factory.mktemp("m") / "model", overrides=STEPS)


def test_the_batch_size_does_not_change_the_showers(model: Path, tmp_path: Path) -> None:
    engine = open_engine(model)
    incident = particles(13, "10:100", particle="e-", seed=5)
    samples = []
    for size in (13, 4, 1):
        path = tmp_path / f"{size}.h5"
        done = generate_to_store(engine, incident, path, seed=5, batch_size=size)
        assert done.showers == 13
        samples.append(open_showers(path).read())
    first = samples[0].dense()
    assert first.max() > 0
    for other in samples[1:]:
        # float64 inside: at most the last bit of the float32 output may differ
        assert np.array_equal(other.cell, samples[0].cell)
        assert np.allclose(other.energy, samples[0].energy, rtol=2e-7, atol=0)
        assert np.array_equal(other.incident.energy, samples[0].incident.energy)


def test_the_file_says_where_it_comes_from(model: Path, tmp_path: Path) -> None:
    incident = particles(2, 50)
    generate_to_store(open_engine(model), incident, tmp_path / "g.h5", seed=7)
    with open_showers(tmp_path / "g.h5") as reader:
        provenance = reader.provenance
    assert (provenance.step, provenance.seed) == ("generate", 7)
    assert len(next(iter(provenance.inputs.values()))) == 64
    assert provenance.parents[0]["step"] == "train"
    assert provenance.find_source("generation_ms") > 0


@pytest.mark.parametrize(("n", "expected"), [(6, 500.0), (2, 50_000.0)])
def test_compiling_in_the_first_batch_is_not_the_engines_speed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, expected: float
) -> None:
    """A clock that only the engine moves: 100 s in its first call, 1 s in the others."""
    engine, clock = open_engine(model), [0.0]
    run = engine.run

    def slow_at_first(*arguments: Any) -> Any:
        clock[0] += 1.0 if clock[0] else 100.0
        return run(*arguments)

    monkeypatch.setattr(engine, "run", slow_at_first)
    monkeypatch.setattr("caloforge.generate.to_store.time.perf_counter", lambda: clock[0])
    done = generate_to_store(engine, particles(n, 50), tmp_path / "g.h5", batch_size=2)
    assert done.generation_ms == expected
    assert done.total_ms == pytest.approx(1e3 * clock[0] / n, rel=1e-4)


def test_python_and_command_line_agree(model: Path, tmp_path: Path) -> None:
    showers = load_model(model).generate(energy="10:100", n=5, seed=3)
    incident = particles(5, "10:100", seed=3)
    generate_to_store(open_engine(model), incident, tmp_path / "g.h5", seed=3)
    assert np.array_equal(showers.dense(), open_showers(tmp_path / "g.h5").read().dense())
    assert "for 'lcd-ecal-25'" in repr(load_model(model))


def test_python_takes_numbers_and_lists(model: Path) -> None:
    opened = load_model(model)
    assert opened.generate(energy=50.0).incident.energy.tolist() == [50e3]
    assert opened.generate(energy=[20, 40]).incident.energy.tolist() == [20e3, 40e3]
    with pytest.raises(ConfigError, match="energy"):
        opened.generate()


class Constant:
    """An engine that deposits the noise's first number in the first cell."""

    name = "constant"

    def __init__(self, calorimeter: Calorimeter, **description: Any) -> None:
        self.calorimeter = calorimeter
        self.inputs = {"constant": "0" * 64}
        self.description: dict[str, Any] = {
            "condition": ["energy"],
            "latent": {"size": 3, "distribution": "uniform"},
            "provenance": Provenance(step="test").to_dict(),
            **description,
        }

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The first number of the noise, in cell 0."""
        energy = np.zeros((len(condition), self.calorimeter.n_cells), np.float32)
        energy[:, 0] = noise[:, 0]
        return energy


def test_memory_is_bounded_by_the_batch(small: Calorimeter, tmp_path: Path) -> None:
    engine = Constant(small)
    peaks = []
    for n in (2_000, 20_000):
        incident = particles(n, 50)
        tracemalloc.start()
        generate_to_store(engine, incident, tmp_path / "g.h5", batch_size=100)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    dense = 20_000 * small.n_cells * 4
    assert peaks[1] < 0.5 * dense
    assert peaks[1] < 3 * peaks[0]


def test_impossible_output_is_one_error(small: Calorimeter, tmp_path: Path) -> None:
    class Broken(Constant):
        def run(
            self, condition: NDArray[np.float32], noise: NDArray[np.float32]
        ) -> NDArray[np.float32]:
            energy = super().run(condition, noise)
            energy[1, 2] = np.nan
            return energy

    with pytest.raises(ModelError, match="engine 'constant'.*not finite"):
        generate_to_store(Broken(small), particles(4, 50), tmp_path / "g.h5")
    assert not (tmp_path / "g.h5").exists()


def test_a_missing_condition_is_named(small: Calorimeter) -> None:
    engine = Constant(small, condition=["energy", "phi"])
    with pytest.raises(ModelError, match="'phi'"):
        list(shower_batches(engine, particles(1, 50)))
    tilted = Constant(small, condition=["energy", "theta"])
    assert condition_of(tilted, particles(1, 50))[0, 1] == pytest.approx(np.pi / 2)


# ------------------------------------------------------------------------------ noise


def test_noise_belongs_to_the_shower() -> None:
    whole = uniform_noise(3, 0, 50, 7)
    assert np.array_equal(whole[20:30], uniform_noise(3, 20, 30, 7))
    assert not np.array_equal(whole, uniform_noise(4, 0, 50, 7))
    assert not np.array_equal(whole, uniform_noise(3, 0, 50, 7, stream=1))


def test_noise_has_the_right_distribution() -> None:
    assert stats.kstest(uniform_noise(1, 0, 2000, 5).ravel(), "uniform").pvalue > 1e-3
    normal = normal_noise(2, 0, 2000, 5)
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(normal.T) - np.eye(5)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


# -------------------------------------------------------------------------- particles


def test_energies_from_words() -> None:
    uniform = particles(4000, "10:100").energy / 1e3
    assert uniform.min() >= 10
    assert uniform.max() <= 100
    assert stats.kstest((uniform - 10) / 90, "uniform").pvalue > 1e-3
    logarithmic = np.log(particles(4000, "log:1:1000").energy / 1e3) / np.log(1000)
    assert stats.kstest(logarithmic, "uniform").pvalue > 1e-3
    assert (particles(5, "10,20").energy / 1e3).tolist() == [10, 20, 10, 20, 10]
    assert particles(2, 50).energy.tolist() == [50e3, 50e3]
    tilted = particles(3, 50, theta=60, particle="gamma")
    assert tilted["theta"] == pytest.approx(np.pi / 3)
    assert (tilted["pdg"] == 22).all()


def test_particles_do_not_depend_on_how_the_work_is_split() -> None:
    whole = particles(20, "10:100", seed=2).energy
    part = particles(5, "10:100", seed=2, first=10).energy
    assert np.array_equal(whole[10:15], part)


@pytest.mark.parametrize(
    "energy", ["", "a", "10:", "100:10", "log:0:10", "1:2:3", "-5", "0", "nan", "inf", "1,x"]
)
def test_energies_that_make_no_sense(energy: str) -> None:
    with pytest.raises(ConfigError, match="--energy"):
        particles(3, energy)


def test_other_requests_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="--particle"):
        particles(1, 50, particle="photon?")
    with pytest.raises(ConfigError, match="-n 0"):
        particles(0, 50)


def test_like_copies_what_the_model_knows(tmp_path: Path) -> None:
    showers = random_showers(4)
    n = len(showers)
    columns = {**showers.incident.columns, "theta": np.full(n, 1.5), "x": np.ones(n)}
    path = write_showers(
        tmp_path / "a.h5",
        type(showers)(
            showers.calorimeter, Incident(columns), showers.offset, showers.cell, showers.energy
        ),
    )
    copied = like(path, None, ["energy"])
    assert set(copied) == {"energy", "pdg", "theta"}
    assert np.array_equal(copied.energy, showers.incident.energy)
    assert "x" in like(path, None, ["energy", "x"])
    assert np.array_equal(like(path, 6, ["energy"]).energy[4:], showers.incident.energy[:2])


# ---------------------------------------------------------------------------- engines


def test_bad_models_and_engines(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--engine"):
        open_engine(model, "abacus")
    with pytest.raises(ModelError, match="caloforge train"):
        open_engine(tmp_path / "none")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        open_engine(tmp_path / "text.onnx")
    with pytest.raises(ConfigError, match="model folder"):
        open_engine(tmp_path / "text.onnx", "torch")
    with pytest.raises(ModelError, match="not a model artifact"):
        (tmp_path / "folder").mkdir()
        open_engine(tmp_path / "folder")


def test_no_particles_make_no_file(model: Path, tmp_path: Path) -> None:
    nobody = particles(2, "50", seed=1).take(slice(0, 0))
    with pytest.raises(ConfigError, match=r"no particles.*none\.h5"):
        generate_to_store(open_engine(model), nobody, tmp_path / "none.h5")
    assert not list(tmp_path.iterdir())


def test_output_problems_leave_nothing(model: Path, tmp_path: Path) -> None:
    engine = open_engine(model)
    with pytest.raises(OutputError, match="mkdir"):
        generate_to_store(engine, particles(1, 50), tmp_path / "no" / "g.h5")
    with pytest.raises(CaloforgeError):
        generate_to_store(engine, particles(1, 50), tmp_path)
    assert list(tmp_path.iterdir()) == []
