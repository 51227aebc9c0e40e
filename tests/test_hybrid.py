"""Models inside Geant4: who is taken over, where the deposits go, what stays full simulation."""

from __future__ import annotations

from math import pi
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.engines import open_engine
from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.runtime.generate import showers_of
from caloforge.runtime.noise import event_noise
from caloforge.showers import Incident, Showers
from caloforge.simulate import open_simulator
from caloforge.simulate.fast import FastChoice, Team, choices
from caloforge.simulate.fast.overlay import Overlay
from caloforge.simulate.fast.takeover import Arrival, Takeover
from caloforge.simulate.fast.team import Taken
from caloforge.simulate.geant4 import Geant4
from simulation_jobs import Simulate, in_worker

MODEL = "lcd-ecal-25-electron"
ANGLES = "lcd-ecal-electron"
STRAIGHT = (0.0, 0.0, 1.0)
CELL = 5.0
"""mm, in lcd-ecal."""


@pytest.fixture(scope="module")
def ecal() -> Calorimeter:
    return load_detector("lcd-ecal")


@pytest.fixture(scope="module")
def takeover(ecal: Calorimeter) -> Takeover:
    return Takeover(FastChoice(MODEL), ecal)


def inclined(x: float, y: float = 0.0) -> tuple[float, float, float]:
    """A direction with these parts across the calorimeter."""
    return x, y, float(np.sqrt(1 - x**2 - y**2))


def test_a_choice_is_the_same_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own", "lr=0.1"):
        Path(name).mkdir()
    assert choices(["own", "e-=own", "lr=0.1", MODEL]) == (
        FastChoice(str(tmp_path / "own")),
        FastChoice(str(tmp_path / "own"), (11,)),
        FastChoice(str(tmp_path / "lr=0.1")),
        FastChoice(MODEL),
    )


def test_what_no_model_takes_over_costs_as_much_as_ever(ecal: Calorimeter) -> None:
    beam = Incident({"energy": [5e4, 5e5, 5e4, 5e4], "pdg": [11, 11, 22, 111]})
    bare, fast = Geant4(ecal), Geant4(ecal, fast=choices([MODEL]))
    full = bare.cost(beam)
    assert fast.cost(beam)[1:3].tolist() == full[1:3].tolist()
    assert (fast.cost(beam)[[0, 3]] < 0.1 * full[[0, 3]]).all()


def test_models_of_one_name_are_told_apart(ecal: Calorimeter) -> None:
    team = Team(choices([MODEL, "gamma=" + MODEL, "e+=" + ANGLES]), ecal)
    assert list(team.inputs) == [MODEL, ANGLES]  # the same one twice, and another
    team.members[2].engine.inputs = {MODEL: "other"}
    assert team.inputs == {MODEL: team.inputs[MODEL], f"{MODEL} (2)": "other"}


# --------------------------------------------------------------------------- cells


def planes(*shapes: tuple[int, int, float, float]) -> Calorimeter:
    layers = [
        Layer(z=10.0 * k, thickness=10.0, segmentation=CartesianGrid(nx=nx, ny=ny, dx=dx, dy=dy))
        for k, (nx, ny, dx, dy) in enumerate(shapes)
    ]
    return Calorimeter(name="planes", layers=tuple(layers))


@settings(deadline=None)  # the first call compiles
@given(x=st.integers(-6, 6), y=st.integers(-6, 6))
def test_cells_move_by_what_the_particle_moves(x: int, y: int) -> None:
    small = planes((5, 4, 10.0, 5.0), (2, 4, 20.0, 15.0))
    large = planes((9, 16, 10.0, 5.0), (6, 10, 20.0, 15.0), (3, 3, 1.0, 1.0))
    overlay = Overlay(small, large)
    assert overlay.pitch == (20.0, 15.0)
    everywhere = Showers.from_dense(small, Incident({"energy": [1e3]}), np.ones((1, 28)))
    cells = overlay.cells(everywhere, np.array([[x, y]]))
    moved = small.cell_positions + np.array([x * 20.0, y * 15.0, 0.0])
    there = cells >= 0
    np.testing.assert_allclose(large.cell_positions[cells[there]], moved[there])
    number = large.locate(*moved.T)
    assert np.array_equal(cells, number)


@pytest.mark.parametrize(
    ("model", "detector", "message"),
    [
        (planes((5, 5, 10.0, 5.0)), planes((9, 9, 10.0, 4.0)), "layer 0 .* other cells"),
        (planes((5, 5, 10.0, 5.0)), planes((8, 9, 10.0, 5.0)), "lie between those"),
        (planes((5, 5, 1.0, 1.0), (5, 5, 1.0, 1.0)), planes((5, 5, 1.0, 1.0)), "front layers"),
        (load_detector("calogan-lar"), load_detector("lcd-ecal"), "front layers"),
        (load_detector("lcd-ecal-25"), load_detector("par04-siw"), "concentric"),
    ],
)
def test_models_of_other_detectors_are_refused(
    model: Calorimeter, detector: Calorimeter, message: str
) -> None:
    with pytest.raises(GeometryError, match=message):
        Overlay(model, detector)


# ----------------------------------------------------------------------- particles


@pytest.mark.parametrize(
    ("arrival", "taken"),
    [
        (Arrival(11, 50e3, 0.0, 0.0, STRAIGHT), True),
        (Arrival(11, 50e3, 31.2, -17.9, STRAIGHT), True),
        (Arrival(11, 50e3, 0.0, 0.0, inclined(0.006, -0.007)), True),
        (Arrival(-11, 50e3, 0.0, 0.0, STRAIGHT), False),
        (Arrival(22, 50e3, 0.0, 0.0, STRAIGHT), False),
        (Arrival(11, 9.5e3, 0.0, 0.0, STRAIGHT), False),
        (Arrival(11, 101e3, 0.0, 0.0, STRAIGHT), False),
        (Arrival(11, 50e3, 0.0, 0.0, inclined(0.02)), False),
        (Arrival(11, 50e3, 0.0, 0.0, (0.0, 0.0, -1.0)), False),
    ],
)
def test_a_model_takes_over_what_it_was_trained_on(
    takeover: Takeover, arrival: Arrival, taken: bool
) -> None:
    assert (takeover.sees(arrival) is not None) == taken


def test_a_particle_is_seen_in_the_cell_that_it_enters(takeover: Takeover) -> None:
    seen = takeover.sees(Arrival(11, 50e3, 3 * CELL + 1.25, -2 * CELL - 0.5, STRAIGHT))
    assert seen is not None
    assert seen.moved == (3, -2)
    assert (seen.x, seen.y) == pytest.approx((1.25, -0.5))


def test_angles_and_the_depth_of_the_point(ecal: Calorimeter) -> None:
    """The model at angles was trained with lines through points 45 mm deep."""
    takeover = Takeover(FastChoice(ANGLES), ecal)
    seen = takeover.sees(Arrival(11, 50e3, 2 * CELL, 0.0, inclined(0.3)))
    assert seen is not None
    at_depth = 2 * CELL + 45.0 * 0.3 / np.sqrt(1 - 0.09)
    assert seen.moved[0] * CELL + seen.x == pytest.approx(at_depth)
    assert (seen.theta, seen.phi) == pytest.approx((np.arccos(0.3), 0.0))
    assert takeover.sees(Arrival(11, 50e3, 0.0, 0.0, inclined(0.0, 0.3))) is None
    assert takeover.sees(Arrival(11, 50e3, 0.0, 0.0, inclined(0.6))) is None


@given(theta=st.floats(0.6, pi - 0.6), phi=st.floats(-1.5, 1.5))
def test_any_direction_is_found_again(theta: float, phi: float) -> None:
    takeover = Takeover.__new__(Takeover)
    takeover.condition = ("theta", "phi")
    takeover.ranges = {"theta": (0.5, pi - 0.5), "phi": (-1.6, 1.6)}
    across = np.cos(theta)
    direction = (across * np.cos(phi), across * np.sin(phi), np.sin(theta))
    found = takeover._angles(direction)
    assert found is not None
    if abs(across) > 1e-3:
        assert found == pytest.approx((theta, phi), abs=1e-6)


def test_models_are_named_with_their_particles() -> None:
    assert choices(["a/b", "e-,e+=c", "22=d", "x/y=z"]) == (
        FastChoice("a/b"),
        FastChoice("c", (11, -11)),
        FastChoice("d", (22,)),
        FastChoice("x/y=z"),
    )
    with pytest.raises(ConfigError, match="no model"):
        choices(["e-="])


def test_a_model_that_does_not_say_its_particles(ecal: Calorimeter, tmp_path: Path) -> None:
    folder = older_model(tmp_path)
    with pytest.raises(ConfigError, match="name them, as in --fast e-="):
        Takeover(FastChoice(str(folder)), ecal)
    assert Takeover(FastChoice(str(folder), (22,)), ecal).particles == (22,)


def older_model(folder: Path) -> Path:
    """The shipped model as a version wrote it that did not note the particles."""
    from shutil import copytree

    from caloforge.shipped import model_path

    copytree(model_path(MODEL), folder / "older")
    file = folder / "older" / "artifact.json"
    text = file.read_text(encoding="utf-8").replace("training_particles", "something_else")
    file.write_text(text, encoding="utf-8")
    return folder / "older"


# ------------------------------------------------------------------------- deposits


def test_noise_belongs_to_the_event_and_the_place_in_it() -> None:
    event, place = np.array([7, 7, 9, 12]), np.array([0, 1, 0, 1])
    noise = event_noise(3, event, place, 5, "normal")
    assert len(np.unique(noise)) == 20
    for k in range(4):
        own = event_noise(3, event[k : k + 1], place[k : k + 1], 5, "normal")
        assert np.array_equal(own[0], noise[k])


def test_noise_of_distant_events_costs_no_more() -> None:
    far = np.array([3, 10**15, 10**15 + 1])
    noise = event_noise(3, far, np.zeros(3, np.int64), 5, "uniform")
    near = event_noise(3, far[:1], np.zeros(1, np.int64), 5, "uniform")
    assert np.array_equal(noise[0], near[0])
    assert len(np.unique(noise)) == 15


def test_deposits_are_the_models_showers_moved(ecal: Calorimeter) -> None:
    team = Team([FastChoice(MODEL)], ecal)
    engine = open_engine(MODEL)
    arrivals = [
        Arrival(11, 30e3, 0.5, 0.25, STRAIGHT),
        Arrival(11, 30e3, 0.5 + 4 * CELL, 0.25 - CELL, STRAIGHT),
        Arrival(11, 70e3, -1.0, 2.0, STRAIGHT),
    ]
    taken = []
    for place, arrival in enumerate(arrivals):
        found = team.sees(arrival)
        assert found is not None
        taken.append(Taken(5, place, *found))
    made = team.deposits(taken, seed=2)
    incident = Incident({"energy": [30e3, 30e3, 70e3], "x": [0.5, 0.5, -1.0], "y": [0.25, 0.25, 2]})
    noise = event_noise(2, np.full(3, 5), np.arange(3), 4, "uniform")
    own = showers_of(engine, incident, noise)
    assert np.all(made.event == 5)
    assert np.array_equal(made.energy, own.energy.astype(np.float64))
    where = own.calorimeter.cell_positions[own.cell]
    moved = np.array([[0, 0, 0], [4 * CELL, -CELL, 0], [0, 0, 0]])[own.hit_shower]
    np.testing.assert_allclose(ecal.cell_positions[made.cell], where + moved)


def test_what_lies_outside_the_detector_is_lost(ecal: Calorimeter) -> None:
    team = Team([FastChoice(MODEL)], ecal)
    found = team.sees(Arrival(11, 30e3, 25 * CELL, 0.0, STRAIGHT))
    assert found is not None
    made = team.deposits([Taken(0, 0, *found)], seed=2)
    whole = team.deposits([Taken(0, 0, found[0], found[1]._replace(moved=(0, 0)))], seed=2)
    inside = ecal.cell_positions[whole.cell, 0] < CELL / 2
    assert 0 < made.energy.sum() < whole.energy.sum()
    assert np.array_equal(made.energy, whole.energy[inside])


def test_what_misses_the_front_face_is_not_taken_over(ecal: Calorimeter) -> None:
    team, half = Team([FastChoice(MODEL)], ecal), 25.5 * CELL
    assert team.sees(Arrival(11, 30e3, half - 0.1, 0.0, STRAIGHT)) is not None
    assert team.sees(Arrival(11, 30e3, half + 0.1, 0.0, STRAIGHT)) is None
    assert team.sees(Arrival(11, 30e3, 0.0, -half - 0.1, STRAIGHT)) is None


# -------------------------------------------------------------------- in Geant4


MIXED = Incident(
    {
        "energy": [20e3, 2e3, 20e3, 20e3, 20e3],
        "pdg": [11, 11, 22, 11, 11],
        "theta": np.deg2rad([90.0, 90.0, 90.0, 80.0, 90.0]),
        "x": [1.0, 0.0, 0.0, 0.0, 11.0],
        "y": [0.0, 0.0, 0.0, 0.0, -11.0],
    }
)
"""Taken over, too soft, another particle, inclined, taken over beside the middle."""


def hybrid(ecal: Calorimeter, incident: Incident, *words: str) -> Simulate:
    simulator = Geant4(ecal, fast=choices(words))
    simulator.check(incident)
    return Simulate(simulator, simulator.truth(incident))


def test_geant4_keeps_what_no_model_knows(ecal: Calorimeter, geant4: None) -> None:
    whole, first, rest = in_worker(
        hybrid(ecal, MIXED, MODEL), slice(0, 5), slice(0, 2), slice(2, 5)
    )
    assert whole.incident["fast_energy"].tolist() == [20e3, 0.0, 0.0, 0.0, 20e3]
    response = whole.total_energy / whole.incident.energy
    assert np.all((response > 0.017) & (response < 0.024))
    parts = Showers.concatenate([first, rest])
    assert np.array_equal(parts.cell, whole.cell)
    assert np.array_equal(parts.energy, whole.energy)
    x = whole.calorimeter.cell_positions[whole.cell, 0]
    for k, expected in ((0, 1.0), (4, 11.0)):
        own = whole.hit_shower == k
        assert np.average(x[own], weights=whole.energy[own]) == pytest.approx(expected, abs=1.5)


def test_photons_of_a_pion_are_taken_over(ecal: Calorimeter, geant4: None) -> None:
    """From 2 m away; the model stands in for one of photons."""
    n = 12
    incident = Incident({"energy": np.full(n, 60e3), "pdg": np.full(n, 111), "z": np.full(n, -2e3)})
    made = in_worker(hybrid(ecal, incident, f"gamma={MODEL}"), slice(0, n))[0]
    fast = made.incident["fast_energy"]
    angle = made.incident["opening_angle"]
    assert np.all(angle >= 0.0044)  # 2 m / E
    whole = 60e3 + 134.98  # with the mass
    assert np.isclose(fast, whole, atol=0.1).sum() >= 4
    assert np.all((fast < whole + 0.1) & (fast > whole / 2))
    response = made.total_energy / 60e3
    assert np.all((response > 0.017) & (response < 0.024))


@pytest.mark.parametrize(
    ("detector", "incident", "options", "message"),
    [
        ("lcd-ecal", {"z": [-0.3]}, {}, "starts less than 0.5 mm before"),
        ("lcd-ecal", {}, {"engine": "gflash"}, "--fast is an option of --engine geant4"),
        ("par04-siw", {}, {}, "concentric"),
        ("calogan-lar", {}, {}, "front layers"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(
    detector: str,
    incident: dict[str, list[float]],
    options: dict[str, str],
    message: str,
    geant4: None,
) -> None:
    particle = Incident({"energy": [50e3], "pdg": [11], **incident})
    engine = options.get("engine", "geant4")
    with pytest.raises((ConfigError, GeometryError), match=message):
        open_simulator(engine, load_detector(detector), particle, fast=[MODEL])
