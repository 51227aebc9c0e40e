"""Incident particles: where they fly and where they hit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.beam import aimed, directions, like, particles
from caloforge.errors import ConfigError
from caloforge.geometry import load_detector
from caloforge.showers import Incident
from caloforge.simulate.aim import GAP, check_aim, starts
from caloforge.store import write_showers
from helpers import random_showers


def test_directions_point_into_the_calorimeter() -> None:
    incident = particles(3, 10, theta="90,60,120", phi="0,0,90", particle="e-")
    expected = [[0, 0, 1], [0.5, 0, np.sqrt(0.75)], [0, -0.5, np.sqrt(0.75)]]
    np.testing.assert_allclose(directions(incident), expected, atol=1e-12)
    with pytest.raises(ConfigError, match="--theta 0: .* never reaches"):
        directions(particles(1, 10, theta=0))


@given(
    theta=st.floats(20, 160), phi=st.floats(-180, 180), depth=st.floats(0, 100), seed=st.integers(0)
)
def test_lines_pass_the_spread_point_at_its_depth(
    theta: float, phi: float, depth: float, seed: int
) -> None:
    incident = aimed(
        particles(5, 10, theta=theta, phi=phi), spread=(5.0, 8.0), depth=depth, seed=seed
    )
    assert np.all(np.abs(incident["x"]) <= 2.5)
    assert np.all(np.abs(incident["y"]) <= 4.0)
    start, direction = starts(incident), directions(incident)
    np.testing.assert_allclose(start[:, 2], -GAP)
    at_depth = start + ((depth - start[:, 2]) / direction[:, 2])[:, None] * direction
    np.testing.assert_allclose(at_depth[:, 0], incident["x"], atol=1e-9)
    np.testing.assert_allclose(at_depth[:, 1], incident["y"], atol=1e-9)


def test_a_vertex_lies_on_the_line_before_the_front_face() -> None:
    beam = particles(4, 60, theta="80:100", particle="pi0", seed=3)
    near = aimed(beam, spread=(5.0, 5.0), seed=3)
    far = aimed(beam, spread=(5.0, 5.0), vertex=2000.0, seed=3)
    np.testing.assert_allclose(starts(far), np.column_stack([far[c] for c in ("x", "y", "z")]))
    travelled = starts(near) - starts(far)
    along = np.einsum("ij,ij->i", travelled, directions(beam))
    np.testing.assert_allclose(np.cross(travelled, directions(beam)), 0.0, atol=1e-9)
    np.testing.assert_allclose(along, 2000.0 - GAP / directions(beam)[:, 2])


def test_particles_do_not_depend_on_how_they_are_split() -> None:
    whole = aimed(particles(10, "10:100", phi="0:90", seed=5), spread=(5, 5), seed=5)
    part = aimed(
        particles(4, "10:100", phi="0:90", seed=5, first=6), spread=(5, 5), seed=5, first=6
    )
    assert whole.take(slice(6, 10)).digest() == part.digest()
    assert whole.digest() != part.digest()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spread": (-1.0, 0.0)}, "--spread -1"),
        ({"vertex": float("nan")}, "--vertex nan"),
        ({"depth": -2.0}, "--aim-depth -2"),
    ],
)
def test_impossible_aims_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        aimed(particles(2, 10), **arguments)  # type: ignore[arg-type]


def test_a_line_that_misses_the_cells_is_refused() -> None:
    calorimeter = load_detector("lcd-ecal-25")
    check_aim(calorimeter, particles(1, 10))
    for beam in (Incident({"energy": [1e3], "x": [70.0]}), particles(1, 10, theta=1)):
        if "x" not in beam:
            beam = aimed(beam, depth=5.0)
        with pytest.raises(ConfigError, match="misses the front cells of lcd-ecal-25"):
            check_aim(calorimeter, beam)


def test_concentric_calorimeters_take_the_normal_only() -> None:
    barrel = load_detector("par04-siw")
    check_aim(barrel, Incident({"energy": [1e3], "x": [500.0]}))
    for beam in (aimed(particles(1, 10, theta=80)), Incident({"energy": [1e3], "y": [20.0]})):
        with pytest.raises(ConfigError, match="concentric"):
            check_aim(barrel, beam)


def test_like_copies_the_impact_when_asked(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    showers = random_showers(3)
    columns = {**showers.incident.columns, "x": np.arange(3.0)}
    moved = type(showers)(
        showers.calorimeter, Incident(columns), showers.offset, showers.cell, showers.energy
    )
    path = write_showers(tmp_path / "s.h5", moved)
    assert "x" not in like(path, None, ())
    assert like(path, None, ("x", "y", "z"))["x"].tolist() == [0, 1, 2]
