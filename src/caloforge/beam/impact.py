"""Where the particles hit: spread over a cell, aimed at a depth, from a vertex."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError
from caloforge.runtime.noise import IMPACT_STREAM, uniform_noise
from caloforge.showers import Incident


def aimed(
    incident: Incident,
    *,
    spread: tuple[float, float] = (0.0, 0.0),
    depth: float = 0.0,
    vertex: float = 0.0,
    seed: int = 0,
    first: int = 0,
) -> Incident:
    """The particles with a point (x, y, z) on each one's line.

    Args:
        incident: n particles; their angles are used.
        spread: full widths (mm) in x and y over which the lines are spread evenly.
        depth: the depth (mm) at which the lines pass the spread points.
        vertex: start every particle this far (mm) before the front face along its line; the point
            is then this vertex. 0 leaves it out.
        seed: fixes the random values together with the shower's number.
        first: number of the first shower.

    Raises:
        ConfigError: a negative or infinite spread, depth or vertex distance.
    """
    lengths = (("--spread", min(spread)), ("--vertex", vertex), ("--aim-depth", depth))
    for flag, value in lengths:
        if not (np.isfinite(value) and value >= 0):
            raise ConfigError(f"{flag} {value:g}: give a distance in mm, 0 or more")
    n = len(incident)
    uniform = uniform_noise(seed, first, first + n, 2, IMPACT_STREAM) - 0.5
    point = np.column_stack([uniform * np.asarray(spread), np.full(n, depth)])
    if vertex > 0:
        direction = directions(incident)
        at_front = point - (point[:, 2] / direction[:, 2])[:, None] * direction
        point = at_front - vertex * direction
    return Incident({**incident.columns, "x": point[:, 0], "y": point[:, 1], "z": point[:, 2]})


def directions(incident: Incident) -> NDArray[np.float64]:
    """Unit vectors (n, 3): (cos theta, 0, sin theta), turned around z by phi.

    Raises:
        ConfigError: a particle that flies along the front face or away from it.
    """
    n = len(incident)
    theta = incident["theta"] if "theta" in incident else np.full(n, np.pi / 2)
    phi = incident["phi"] if "phi" in incident else np.zeros(n)
    if np.any(np.sin(theta) < 1e-3):
        bad = float(np.rad2deg(theta[np.argmin(np.sin(theta))]))
        raise ConfigError(
            f"--theta {bad:g}: the particle never reaches the front face; use 0 < theta < 180, "
            "90 is normal incidence"
        )
    across = np.where(np.abs(np.cos(theta)) < 1e-9, 0.0, np.cos(theta))
    return np.column_stack([across * np.cos(phi), across * np.sin(phi), np.sin(theta)])
