"""The shower axis: where the particle enters and which way it goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.showers import Incident
from caloforge.simulate.aim import entry_points

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


def axes(incident: Incident, centred: bool = False) -> Axes:
    """The lines of the incident particles; absent columns mean normal incidence at (0, 0).

    ``centred``: the readout is a mesh around the shower axis, so every shower enters at its (0, 0).
    """
    direction = directions(incident)
    if centred:
        nowhere = np.zeros(len(incident))
        return Axes(nowhere, nowhere, direction)
    entry = entry_points(incident)
    return Axes(entry[:, 0], entry[:, 1], direction)
