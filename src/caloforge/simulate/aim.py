"""Where every particle starts and flies, from the incident table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, readout_width
from caloforge.showers import Incident

GAP = 1.0
"""A particle whose row names no vertex starts this far (mm) in front of the front face."""

ON_AXIS = 10.0
"""How far (mm) from the axis of a concentric calorimeter's mesh a particle may enter."""


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


def check_aim(calorimeter: Calorimeter, incident: Incident) -> None:
    """Refuse particles whose line misses the cells, or the axis of a concentric calorimeter.

    Raises:
        ConfigError: naming the particle.
    """
    start, direction = starts(incident), directions(incident)
    at_front = start - (start[:, 2] / direction[:, 2])[:, None] * direction
    half = readout_width(calorimeter) / 2
    missed = np.any(np.abs(at_front[:, :2]) > half, axis=1)
    if missed.any():
        number = int(np.flatnonzero(missed)[0])
        x, y = at_front[number, :2]
        raise ConfigError(
            f"particle {number} crosses z = 0 at x = {x:.1f}, y = {y:.1f} mm and misses the "
            f"cells of {calorimeter.name}, {2 * half:g} mm wide; change --theta or --spread"
        )
    if calorimeter.inner_radius is not None:
        off_axis = np.hypot(at_front[:, 0], at_front[:, 1]) > ON_AXIS
        if off_axis.any() or np.any(direction[:, 2] < 1 - 1e-9):
            raise ConfigError(
                f"{calorimeter.name} is concentric, its mesh lies around the particle: shoot along "
                "the normal through the centre (--theta 90, no --spread)"
            )
