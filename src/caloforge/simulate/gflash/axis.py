"""The shower axis: where the particle enters and which way it goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Incident

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """n lines: entry point (x, y) at z = 0 in mm, and direction, shape (n, 3)."""

    x: Floats
    y: Floats
    direction: Floats

    @property
    def path(self) -> Floats:
        """Length along the axis per depth: 1 / cos of the angle to the normal."""
        return np.asarray(1.0 / self.direction[:, 2])


def column(incident: Incident, name: str, default: float) -> Floats:
    """A column of the incident table, or ``default`` for every shower."""
    if name in incident:
        return np.asarray(incident[name], dtype=np.float64)
    return np.full(len(incident), default)


def axes(incident: Incident, centred: bool = False) -> Axes:
    """The lines of the incident particles; absent columns mean normal incidence at (0, 0).

    The direction is (cos theta cos phi, cos theta sin phi, sin theta). ``centred``: the readout
    is a mesh around the shower axis, so every shower enters at its (0, 0).
    """
    theta, phi = column(incident, "theta", np.pi / 2), column(incident, "phi", 0.0)
    tilt = np.where(np.abs(np.cos(theta)) < 1e-9, 0.0, np.cos(theta))
    direction = np.column_stack([tilt * np.cos(phi), tilt * np.sin(phi), np.sin(theta)])
    z = column(incident, "z", 0.0)
    if centred:
        nowhere = np.zeros(len(incident))
        return Axes(nowhere, nowhere, direction)
    entry = [
        column(incident, name, 0.0) - z * direction[:, i] / direction[:, 2]
        for i, name in enumerate("xy")
    ]
    return Axes(entry[0], entry[1], direction)
