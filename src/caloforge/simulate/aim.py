"""Where every particle starts and flies, from the incident table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, CylindricalGrid
from caloforge.geometry.segmentation import Segmentation
from caloforge.showers import Incident

GAP = 1.0
"""A particle whose row names no vertex starts this far (mm) in front of the front face."""

OFF_CENTRE = 0.02
"""Largest |y| on a concentric calorimeter, in units of its radius: there it is still flat."""


def starts(incident: Incident) -> NDArray[np.float64]:
    """Start points (n, 3) in mm.

    (x, y, z) of the table is a point on the particle's line: the vertex when z < 0, otherwise the
    particle starts :data:`GAP` in front of the front face.
    """
    n = len(incident)
    columns = [incident[name] if name in incident else np.zeros(n) for name in ("x", "y", "z")]
    point = np.column_stack(columns)
    direction = directions(incident)
    back = np.where(point[:, 2] < 0, 0.0, (point[:, 2] + GAP) / direction[:, 2])
    return np.asarray(point - back[:, None] * direction)


def entry_points(incident: Incident) -> NDArray[np.float64]:
    """Where the lines cross the front face z = 0: x and y (mm), shape (n, 2)."""
    start, direction = starts(incident), directions(incident)
    at_front = start - (start[:, 2] / direction[:, 2])[:, None] * direction
    return np.asarray(at_front[:, :2])


def centred(incident: Incident) -> Incident:
    """The particles moved onto the axis: the mesh of a concentric calorimeter goes with them."""
    kept = {name: column for name, column in incident.columns.items() if name not in ("x", "y")}
    return Incident(kept)


def check_aim(calorimeter: Calorimeter, incident: Incident) -> None:
    """Refuse particles that miss the front cells, or do not meet a barrel along its normal.

    Raises:
        ConfigError: naming the particle.
    """
    entry = entry_points(incident)
    if calorimeter.inner_radius is not None:
        aside = np.abs(entry[:, 1]) > OFF_CENTRE * calorimeter.inner_radius
        if aside.any() or np.any(directions(incident)[:, 2] < 1 - 1e-9):
            raise ConfigError(
                f"{calorimeter.name} is concentric, its mesh lies around the particle: shoot along "
                "the normal (--theta 90, no --spread, or --like of such particles)"
            )
        return
    inside = _inside(calorimeter.layers[0].segmentation, entry)
    if not inside.all():
        number = int(np.flatnonzero(~inside)[0])
        x, y = entry[number]
        raise ConfigError(
            f"particle {number} crosses z = 0 at x = {x:.1f}, y = {y:.1f} mm and misses the "
            f"front cells of {calorimeter.name}; change --theta, --spread, --window or --like"
        )


def _inside(grid: Segmentation, entry: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (n, 2) lie within the reach of a layer's cells."""
    if isinstance(grid, CylindricalGrid):
        return np.asarray(np.hypot(entry[:, 0], entry[:, 1]) <= grid.r_edges[-1])
    half = np.array([grid.nx * grid.dx, grid.ny * grid.dy]) / 2
    return np.asarray(np.all(np.abs(entry - np.asarray(grid.centre)) <= half, axis=1))
