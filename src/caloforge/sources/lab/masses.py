"""Masses of the particles that calorimeters are shot at with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MASSES = {
    11: 0.51099895,
    13: 105.6583755,
    15: 1776.93,
    22: 0.0,
    111: 134.9768,
    130: 497.611,
    211: 139.57039,
    221: 547.862,
    310: 497.611,
    321: 493.677,
    2112: 939.56542,
    2212: 938.27209,
    3122: 1115.683,
}
"""MeV, by the absolute PDG code (Review of Particle Physics 2024)."""


def masses(pdg: NDArray[Any]) -> NDArray[np.float64]:
    """The mass (MeV) of every particle; 0 where it is not in :data:`MASSES`."""
    return np.array([MASSES.get(abs(int(code)), 0.0) for code in pdg], dtype=np.float64)
