"""From the laboratory's frame to the calorimeter's, and back.

In the laboratory the beam axis is z and a barrel lies around it. A particle flies on a straight
line from its vertex along its momentum (no magnetic field) and enters the calorimeter where the
line first crosses the front: the cylinder r = ``radius`` from inside, or the plane z = +-``z`` that
it flies to. This point is the origin of the shower's own frame, whose z is the depth:

``particle``
    z along the particle's direction, x the beam axis projected onto the plane across it, y = z x x.
    The mesh lies around the particle, as in Par04 and the CaloChallenge (Par04's own x, the unit
    vector of the polar angle, is minus ours: its sectors are turned by pi). The column ``theta`` is
    the polar angle, between the particle and the beam.
``normal``
    z along the outward normal of the front (radial in the barrel, +-z in an endcap); in the barrel
    x is the beam axis, in an endcap x points away from it; y = z x x. The frame is rigid: depth is
    measured along the normal at the entry point. ``theta`` and ``phi`` give the direction
    (cos theta cos phi, cos theta sin phi, sin theta) with 0 < theta < pi and |phi| <= pi/2: for a
    particle from the beam line into the barrel theta is the polar angle and phi is 0.

Where these directions are not defined (along the beam, on the beam axis), the laboratory's x is
taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.sources.lab.hits import Floats, Whole

BEAM = np.array([0.0, 0.0, 1.0])
_X = np.array([1.0, 0.0, 0.0])
_PARALLEL = 1e-9


@dataclass(frozen=True)
class Front:
    """The front face: a cylinder of ``radius`` mm, planes at +-``z`` mm, or both."""

    radius: float | None = None
    z: float | None = None


@dataclass(frozen=True)
class Frames:
    """The frames of n showers."""

    origin: Floats
    """(n, 3) mm, in the laboratory."""
    axes: Floats
    """(n, 3, 3): the rows are x, y and z in the laboratory."""

    def local(self, shower: Whole, position: Floats) -> Floats:
        """Points (hits, 3) of the laboratory in the frames of their showers (hits,)."""
        away = position - self.origin[shower]
        return np.asarray(np.einsum("hij,hj->hi", self.axes[shower], away))

    def lab(self, shower: Whole, position: Floats) -> Floats:
        """The inverse of :meth:`local`."""
        turned = np.einsum("hij,hi->hj", self.axes[shower], position)
        return np.asarray(turned + self.origin[shower])


def entry(
    vertex: Floats, direction: Floats, front: Front
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Where lines first cross the front.

    Args:
        vertex: (n, 3) mm.
        direction: (n, 3) unit vectors.
        front: the surfaces.

    Returns:
        The points (n, 3), the outward normals there (n, 3), and which lines cross at all; the other
        rows mean nothing.
    """
    barrel = _to_cylinder(vertex, direction, front.radius)
    plane = _to_plane(vertex, direction, front.z)
    distance = np.minimum(barrel, plane)
    reached = np.isfinite(distance)
    point = vertex + np.where(reached, distance, 0.0)[:, None] * direction
    around = _unit(point * (1 - BEAM), _X)
    along = np.sign(direction[:, 2])[:, None] * BEAM
    return point, np.where((barrel <= plane)[:, None], around, along), reached


def _to_cylinder(vertex: Floats, direction: Floats, radius: float | None) -> Floats:
    if radius is None:
        return np.full(len(vertex), np.inf)
    a = np.sum(direction[:, :2] ** 2, axis=1)
    b = np.sum(direction[:, :2] * vertex[:, :2], axis=1)
    c = np.sum(vertex[:, :2] ** 2, axis=1) - radius**2
    meets = (a > _PARALLEL**2) & (c <= 1e-6 * radius**2)  # from inside
    root = np.sqrt(np.maximum(b**2 - a * c, 0.0))
    return np.where(meets, np.maximum(root - b, 0.0) / np.where(meets, a, 1.0), np.inf)


def _to_plane(vertex: Floats, direction: Floats, z: float | None) -> Floats:
    if z is None:
        return np.full(len(vertex), np.inf)
    speed = direction[:, 2]
    meets = np.abs(speed) > _PARALLEL
    distance = (np.sign(speed) * z - vertex[:, 2]) / np.where(meets, speed, 1.0)
    return np.where(meets & (distance >= 0), distance, np.inf)


def particle_frames(point: Floats, direction: Floats) -> Frames:
    """Frames at ``point`` (n, 3) with z along ``direction`` (n, 3)."""
    return _frames(point, direction, _across(np.broadcast_to(BEAM, direction.shape), direction))


def normal_frames(point: Floats, normal: Floats) -> Frames:
    """Frames at ``point`` (n, 3) with z along the ``normal`` (n, 3) of the front."""
    beam = np.broadcast_to(BEAM, normal.shape)
    endcap = np.abs(normal[:, 2]) > 0.5
    return _frames(point, normal, _across(np.where(endcap[:, None], point, beam), normal))


def _frames(point: Floats, z: Floats, x: Floats) -> Frames:
    return Frames(point, np.stack([x, np.cross(z, x), z], axis=1))


def _across(vector: Floats, z: Floats) -> Floats:
    """The unit vector of ``vector`` across ``z``; of the laboratory's x where that is nothing."""
    x = _X - z[:, :1] * z
    return _unit(vector - np.sum(vector * z, axis=1)[:, None] * z, _unit(x, _X))


def _unit(vector: Floats, otherwise: Floats) -> Floats:
    size = np.linalg.norm(vector, axis=1)[:, None]
    small = size < _PARALLEL
    return np.where(small, otherwise, vector / np.where(small, 1.0, size))


def polar_angle(direction: Floats) -> Floats:
    """The angle (rad) between directions (n, 3) and the beam."""
    return np.asarray(np.arctan2(np.hypot(direction[:, 0], direction[:, 1]), direction[:, 2]))


def incident_angles(frames: Frames, direction: Floats) -> tuple[Floats, Floats]:
    """theta and phi (rad) of directions (n, 3) of the laboratory in ``normal`` frames."""
    x, y, z = np.einsum("nij,nj->ni", frames.axes, direction).T
    tiny = np.hypot(x, y) < _PARALLEL
    side = np.where(x < 0, -1.0, 1.0)
    theta = np.where(tiny, np.pi / 2, np.arctan2(z, side * np.hypot(x, y)))
    return theta, np.where(tiny, 0.0, np.arctan2(side * y, side * x))
