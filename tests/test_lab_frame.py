"""The frames: the same shower anywhere in the detector lands in the same cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter, CylindricalGrid, Layer
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.lab.aim import placed
from caloforge.sources.lab.frame import Front, entry, incident_angles, normal_frames
from caloforge.sources.lab.hits import Hits, Particles
from caloforge.sources.lab.options import LabOptions
from caloforge.sources.lab.place import Placement
from caloforge.transform import Tally
from helpers import small_calorimeter

RADIUS = 1250.0
HALF = 2300.0
angle = st.floats(-np.pi, np.pi)
Floats = NDArray[np.float64]


def mesh() -> Calorimeter:
    grid = CylindricalGrid(r_edges=(0.0, 5.0, 10.0, 20.0), n_phi=8)
    layers = tuple(Layer(z=4.0 * k, thickness=4.0, segmentation=grid) for k in range(6))
    return Calorimeter(name="mesh", layers=layers)


def cloud(seed: int = 0) -> tuple[Floats, Floats]:
    """Points (mm) in a shower's own frame, some of them outside the cells, and their MeV."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0.0, 8.0, (300, 3))
    points[:, 2] = rng.uniform(-2.0, 28.0, 300)
    return points, rng.exponential(1.0, 300)


def turn_z(points: Floats, phi: float) -> Floats:
    c, s = np.cos(phi), np.sin(phi)
    return np.asarray(points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T)


def shower(
    calorimeter: Calorimeter, points: Floats, vertex: Floats, momentum: Floats, **options: float
) -> tuple[Showers, Tally]:
    """What a placement makes of one event."""
    energy = cloud()[1]
    rows = np.zeros(len(points), dtype=np.int64)
    hits = Hits(rows, points, energy, np.zeros(len(points), dtype=bool))
    particles = Particles(vertex[None], momentum[None], np.zeros(1), np.array([22]))
    place = Placement(
        Path("x"),
        calorimeter,
        LabOptions.model_validate({"front": RADIUS, **options}),
        barrel=True,
        endcap=False,
        sample=(),
    )
    tally = Tally()
    return place.showers(hits, particles, 0, tally, Provenance(step="t")), tally


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, np.pi - 0.5), angle, st.floats(-200.0, 200.0))
def test_around_the_particle_direction_and_vertex_do_not_matter(
    theta: float, phi: float, z: float
) -> None:
    points, energy = cloud()
    # worked out without the code under test: the unit vectors of spherical coordinates
    along = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    polar = np.array([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)])
    azimuth = np.array([-np.sin(phi), np.cos(phi), 0.0])
    vertex = np.array([0.0, 0.0, z])
    origin = vertex + RADIUS / np.sin(theta) * along
    x, y, depth = points.T[:, :, None]
    placed_points = origin - x * polar - y * azimuth + depth * along
    found, tally = shower(mesh(), placed_points, vertex, 5e4 * along)
    cell = mesh().locate(*points.T)
    wanted = np.bincount(cell[cell >= 0], energy[cell >= 0], mesh().n_cells)
    assert np.allclose(found.dense()[0], wanted, rtol=1e-6, atol=0)
    assert found.incident["theta"][0] == pytest.approx(theta)
    assert found.total_energy[0] + tally.outside == pytest.approx(energy.sum(), rel=1e-6)
    assert tally.outside > 0


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, np.pi - 0.5), angle, st.floats(-200.0, 200.0))
def test_along_the_normal_azimuth_and_vertex_do_not_matter(
    theta: float, phi: float, z: float
) -> None:
    points, energy = cloud()
    calorimeter = small_calorimeter(n=7, layers=5)
    enters = z + RADIUS / np.tan(theta)
    # at azimuth 0: depth along the laboratory's x, the beam along ours, y downwards
    at_zero = np.column_stack([RADIUS + points[:, 2], -points[:, 1], enters + points[:, 0]])
    momentum = 2e4 * np.array([np.sin(theta), 0.0, np.cos(theta)])
    vertex = np.array([0.0, 0.0, z])
    found, tally = shower(calorimeter, turn_z(at_zero, phi), vertex, turn_z(momentum[None], phi)[0])
    cell = calorimeter.locate(*points.T)
    wanted = np.bincount(cell[cell >= 0], energy[cell >= 0], calorimeter.n_cells)
    assert np.allclose(found.dense()[0], wanted, rtol=1e-6, atol=0)
    assert found.incident["theta"][0] == pytest.approx(theta)
    assert found.incident["phi"][0] == pytest.approx(0.0, abs=1e-9)
    assert found.total_energy[0] + tally.outside == pytest.approx(energy.sum(), rel=1e-6)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_an_endcap_is_entered_through_its_plane(side: float) -> None:
    direction = np.array([[0.3, 0.0, side]]) / np.hypot(0.3, 1.0)
    point, normal, reached = entry(np.zeros((1, 3)), direction, Front(RADIUS, HALF))
    assert reached.all()
    assert point[0] == pytest.approx([0.3 * HALF, 0.0, side * HALF])
    assert normal[0] == pytest.approx([0.0, 0.0, side])
    frames = normal_frames(point, normal)
    assert frames.axes[0, 0] == pytest.approx([1.0, 0.0, 0.0])  # away from the beam
    assert np.linalg.det(frames.axes[0]) == pytest.approx(1.0)
    theta, phi = incident_angles(frames, direction)
    assert np.cos(theta[0]) == pytest.approx(0.3 / np.hypot(0.3, 1.0))
    assert phi[0] == 0.0


@settings(max_examples=60, deadline=None)
@given(angle, st.floats(0.0, 0.9), angle, st.floats(-0.9, 0.9), st.floats(-1.0, 1.0))
def test_the_entry_point_lies_on_the_line_and_on_the_front(
    around: float, away: float, phi: float, cosine: float, z: float
) -> None:
    vertex = np.array([[away * RADIUS * np.cos(around), away * RADIUS * np.sin(around), z * 500]])
    sine = np.sqrt(1 - cosine**2)
    direction = np.array([[sine * np.cos(phi), sine * np.sin(phi), cosine]])
    point, normal, reached = entry(vertex, direction, Front(RADIUS, HALF))
    assert reached.all()
    step = point - vertex
    assert np.allclose(np.cross(step, direction), 0.0, atol=1e-6)
    assert np.sum(step * direction) > 0
    inside = np.hypot(*point[0, :2]) / RADIUS, abs(point[0, 2]) / HALF
    assert max(inside) == pytest.approx(1.0)
    frames = normal_frames(point, normal)
    assert np.allclose(frames.axes[0] @ frames.axes[0].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frames.axes[0]) == pytest.approx(1.0)
    theta, phi_local = incident_angles(frames, direction)
    again = directions(Incident({"energy": [1.0], "theta": theta, "phi": phi_local}))
    assert np.allclose(again[0], frames.axes[0] @ direction[0], atol=1e-9)
    rows = np.zeros(5, dtype=np.int64)
    points = np.random.default_rng(0).normal(0, 100, (5, 3))
    assert np.allclose(frames.local(rows, frames.lab(rows, points)), points)


def test_lines_that_miss_the_front_are_named() -> None:
    outside, along = np.array([2000.0, 0.0, 0.0]), np.array([0.0, 0.0, 1e3])
    for vertex, momentum in ((outside, np.array([1e3, 0, 0])), (np.zeros(3), along)):
        with pytest.raises(ShowerError, match="event 0.*never enters"):
            shower(mesh(), cloud()[0], vertex, momentum)
    with pytest.raises(ShowerError, match="event 0.*momentum"):
        shower(mesh(), cloud()[0], outside * 0, outside * 0)


def test_a_beam_along_the_beam_line_meets_a_plane() -> None:
    points, energy = cloud()
    calorimeter = small_calorimeter(n=7, layers=5)
    lab = points * [1, 1, 1] + [0, 0, 900.0]
    particle = Particles(
        np.array([[0, 0, -50.0]]), np.array([[0, 0, 1e3]]), np.zeros(1), np.array([11])
    )
    hits = Hits(np.zeros(300, np.int64), lab, energy, np.zeros(300, bool))
    options = LabOptions(front_z=900.0)
    place = Placement(Path("x"), calorimeter, options, barrel=True, endcap=False, sample=())
    found = place.showers(hits, particle, 0, Tally(), Provenance(step="t"))
    cell = calorimeter.locate(*points.T)
    wanted = np.bincount(cell[cell >= 0], energy[cell >= 0], calorimeter.n_cells)
    assert np.allclose(found.dense()[0], wanted, rtol=1e-6, atol=0)
    assert found.incident["theta"][0] == pytest.approx(np.pi / 2)


def test_kinetic_energy_without_rounding() -> None:
    momentum = np.array([[0.0, 0.0, 1e-3], [3e3, 0.0, 4e3], [0.0, 1e2, 0.0]])
    mass = np.array([938.0, -1e-6, 0.511])
    energy = Particles(np.zeros((3, 3)), momentum, mass, np.zeros(3)).kinetic_energy
    assert energy[0] == pytest.approx(1e-6 / (2 * 938.0), rel=1e-9)
    assert energy[1] == pytest.approx(5e3)
    assert energy[2] == pytest.approx(np.hypot(100, 0.511) - 0.511)


def test_showers_are_placed_where_their_columns_say() -> None:
    incident = Incident(
        {"energy": [1e4, 1e4], "pdg": [11, 22], "theta": [np.pi / 2, 1.2], "x": [0.0, 4.0]}
    )
    frames, particles = placed(small_calorimeter(), incident)
    assert particles.vertex[0] == pytest.approx([0, 0, 0], abs=1e-9)
    assert particles.direction[0] == pytest.approx([1, 0, 0])
    assert np.allclose(particles.kinetic_energy, 1e4)
    point, _, reached = entry(particles.vertex, particles.direction, Front(1500.0))
    assert reached.all()
    local = frames.local(np.arange(2), point)
    assert local == pytest.approx(np.array([[0, 0, 0], [4.0, 0, 0]]), abs=1e-6)
