"""The contract that every simulator keeps."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from caloforge.beam import aimed, particles
from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Showers
from caloforge.simulate import ENGINES, Simulator, open_simulator
from helpers import small_calorimeter
from simulation_jobs import Simulate, in_worker


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "geant4":
        request.getfixturevalue("geant4")
    return str(request.param)


@pytest.fixture(scope="module")
def beam() -> Incident:
    return aimed(particles(6, "2:4", particle="e-", seed=2), spread=(5.0, 5.0), seed=2)


@pytest.fixture(scope="module")
def simulator(engine: str, beam: Incident) -> Simulator:
    return open_simulator(engine, load_detector("lcd-ecal"), beam)


def same(a: Showers, b: Showers) -> bool:
    return (
        a.incident.digest() == b.incident.digest()
        and np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and np.array_equal(a.energy, b.energy)
    )


def test_a_shower_depends_on_its_number_alone(simulator: Simulator, beam: Incident) -> None:
    whole, *pieces = in_worker(
        Simulate(simulator, beam), slice(0, 6), slice(4, 6), slice(0, 1), slice(1, 4)
    )
    (fresh,) = in_worker(Simulate(simulator, beam), slice(4, 6))
    assert same(Showers.concatenate([pieces[1], pieces[2], pieces[0]]), whole)
    assert same(fresh, pieces[0])
    (other,) = in_worker(Simulate(simulator, beam, seed=2), slice(0, 6))
    assert not np.array_equal(other.total_energy, whole.total_energy)
    assert whole.calorimeter.hash == simulator.calorimeter.hash
    visible = whole.total_energy / whole.incident.energy
    assert 0.015 < visible.mean() < 0.03
    assert whole.provenance.source["generator"]


def test_it_describes_itself(simulator: Simulator) -> None:
    settings = json.loads(json.dumps(simulator.settings()))
    assert settings["engine"] == simulator.name
    copy = pickle.loads(pickle.dumps(simulator))
    assert json.loads(json.dumps(copy.settings())) == settings


def test_its_cost_grows_with_energy(simulator: Simulator) -> None:
    low, high = simulator.cost(particles(2, [10, 100], particle="e-"))
    assert 0 < low < high


@pytest.mark.parametrize(
    ("incident", "message"),
    [
        (Incident({"energy": [1e3]}), "--particle"),
        (particles(1, 1e9, particle="e-"), "--energy|energ"),
        (Incident({"energy": [1e4], "pdg": [11], "x": [500.0]}), "misses|outside|cells"),
    ],
)
def test_it_refuses_what_it_cannot_shoot(engine: str, incident: Incident, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_simulator(engine, load_detector("lcd-ecal"), incident)


def test_it_needs_materials(engine: str, beam: Incident, small: Calorimeter) -> None:
    with pytest.raises(GeometryError, match="stacks"):
        open_simulator(engine, small_calorimeter(), beam)


def test_unknown_engines_and_foreign_options_are_refused(beam: Incident) -> None:
    calorimeter = load_detector("lcd-ecal")
    with pytest.raises(ConfigError, match="--engine geant5: choose one of geant4, gflash"):
        open_simulator("geant5", calorimeter, beam)
    with pytest.raises(ConfigError, match="--em-option is an option of --engine geant4"):
        open_simulator("gflash", calorimeter, beam, em_option=1)
