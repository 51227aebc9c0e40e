"""Neutral pions come with the opening angle of their photons."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

import caloforge
from caloforge.cli.entry import run
from caloforge.geometry import Calorimeter, CartesianGrid, Layer, Material, Stack
from caloforge.showers import Incident
from caloforge.showers.incident import NO_ANGLE
from caloforge.simulate.geant4 import Geant4
from caloforge.simulate.geant4.pions import opening_angle, with_opening_angles
from simulation_jobs import Simulate, in_worker

MASS = 134.9768
"""MeV, of the neutral pion."""

ENERGY = 2e3
"""MeV, kinetic, as Geant4 counts it."""

BOOST = (ENERGY + MASS) / MASS

PLANE = Calorimeter(
    name="plane",
    stacks=(Stack(slabs=(Material(material="G4_Si", thickness=1.0, active=True),), repeat=1),),
    layers=(
        Layer(z=0.0, thickness=1.0, segmentation=CartesianGrid(nx=200, ny=200, dx=5.0, dy=5.0)),
    ),
)


def beam(*codes: int) -> Incident:
    return Incident({"energy": np.full(len(codes), ENERGY), "pdg": np.array(codes)})


def test_the_angle_between_two_photons_and_of_a_dalitz_decay() -> None:
    none = np.zeros((0, 3))
    photons = np.array([[0.0, 0.0, 5.0], [3.0, 0.0, 3.0]])
    assert opening_angle(photons, none) == pytest.approx(np.pi / 4)
    pair = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    assert opening_angle(photons[:1], pair) == pytest.approx(np.pi / 2)
    assert opening_angle(photons[:1], none) == opening_angle(none, pair) == NO_ANGLE
    assert opening_angle(1e5 * photons, none) == pytest.approx(np.pi / 4)


def test_only_tables_with_neutral_pions_get_the_column() -> None:
    assert "opening_angle" not in with_opening_angles(beam(11, 22, 211))
    assert np.all(with_opening_angles(beam(11, 111))["opening_angle"] == NO_ANGLE)


def test_angles_follow_the_isotropic_decay(geant4: None) -> None:
    """sin(angle / 2) = m / (2 sqrt(E1 E2)), and the photons share the energy uniformly."""
    simulator = Geant4(PLANE)
    asked = simulator.truth(beam(*[111] * 400))
    showers = in_worker(Simulate(simulator, asked), slice(0, 150), slice(150, 400))
    angle = np.concatenate([part.incident["opening_angle"] for part in showers])
    least = 2 * np.arcsin(1 / BOOST)
    assert np.all(angle > 0.999 * least)
    beta = np.sqrt(1 - BOOST**-2)
    shares = np.sqrt(np.maximum(1 - 1 / (BOOST * np.sin(angle / 2)) ** 2, 0.0)) / beta
    assert kstest(shares, "uniform").pvalue > 0.01


def test_the_showers_are_the_same_with_and_without(geant4: None) -> None:
    simulator, asked = Geant4(PLANE), beam(111, 22, 111, 11)
    plain = in_worker(Simulate(simulator, asked), slice(0, 4))[0]
    watched = in_worker(Simulate(simulator, simulator.truth(asked)), slice(0, 4))[0]
    assert plain.cell.tolist() == watched.cell.tolist()
    assert plain.energy.tolist() == watched.energy.tolist()
    angle = watched.incident["opening_angle"]
    assert np.all(angle[[0, 2]] > 0)
    assert np.all(angle[[1, 3]] == NO_ANGLE)


def test_the_file_knows_them(geant4: None, tmp_path: Path) -> None:
    (tmp_path / "plane.yaml").write_text(PLANE.to_yaml())
    words = ["simulate", str(tmp_path / "plane.yaml"), "--energy", "2", "-n", "3", "--particle"]
    for particle in ("pi0", "e-"):
        path = tmp_path / f"{particle}.h5"
        assert run([*words, particle, "-o", str(path)]) == 0
        incident = caloforge.open(path).read().incident
        assert ("opening_angle" in incident) == (particle == "pi0")
    again = tmp_path / "again.h5"
    like = ["simulate", str(tmp_path / "plane.yaml"), "--like", str(tmp_path / "pi0.h5")]
    assert run([*like, "--seed", "7", "-o", str(again)]) == 0
    first = caloforge.open(tmp_path / "pi0.h5").read().incident["opening_angle"]
    second = caloforge.open(again).read().incident["opening_angle"]
    assert json.dumps(first.tolist()) != json.dumps(second.tolist()), "each decays its own way"
