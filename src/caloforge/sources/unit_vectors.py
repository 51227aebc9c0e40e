"""Directions of incident particles: angles to unit vectors and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Incident

Floats = NDArray[np.float64]


def directions_of(incident: Incident) -> Floats:
    """Unit vectors (n, 3): (cos theta, 0, sin theta) turned around z by phi; z where unknown."""
    n = len(incident)
    theta = incident["theta"] if "theta" in incident else np.full(n, np.pi / 2)
    phi = incident["phi"] if "phi" in incident else np.zeros(n)
    across = np.where(np.abs(np.cos(theta)) < 1e-9, 0.0, np.cos(theta))
    return np.column_stack([across * np.cos(phi), across * np.sin(phi), np.sin(theta)])


def angles_of(direction: Floats) -> tuple[Floats, Floats]:
    """theta and phi of unit vectors (n, 3); phi in (-pi/2, pi/2], theta beyond pi/2 for x < 0."""
    x, y, z = direction.T
    phi = np.where(x == 0, np.where(y == 0, 0.0, np.pi / 2), np.arctan(y / np.where(x == 0, 1, x)))
    return np.arctan2(z, x * np.cos(phi) + y * np.sin(phi)), phi
