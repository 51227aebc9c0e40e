"""Showers of made-up particles that differ in depth, in a small ECAL with an HCAL behind it."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.showers import Incident, Provenance, Showers

CLASSES = (11, 22, 211)
SAMPLING = 0.02
"""Visible share of the energy."""


def two_windows(n: int = 9) -> Calorimeter:
    """``n`` layers of ``n`` x ``n`` cells of 5 mm, then 8 layers of 5 x 5 cells of 30 mm."""
    fine = CartesianGrid(nx=n, ny=n, dx=5.0, dy=5.0)
    coarse = CartesianGrid(nx=5, ny=5, dx=30.0, dy=30.0)
    front = [Layer(z=5.0 * k, thickness=5.0, segmentation=fine) for k in range(n)]
    back = [Layer(z=5.0 * n + 25.0 * k, thickness=25.0, segmentation=coarse) for k in range(8)]
    return Calorimeter(name="windows", cell_threshold=0.001, layers=(*front, *back))


def particle_showers(n: int, seed: int = 0, calorimeter: Calorimeter | None = None) -> Showers:
    """Electrons, photons 10 mm deeper, charged pions 40 mm deeper: 10-100 GeV, 60-120 degrees.

    Every shower is 300 deposits around the particle's line, exponential in depth with 10 mm, with
    a Gaussian width of 5 mm; 2 % of the energy are visible, with fluctuations of 3 %. The line
    passes the middle of the front face. pi+ and pi- are the same class.
    """
    calorimeter = calorimeter or two_windows()
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    energy = rng.uniform(10e3, 100e3, n)
    theta = np.deg2rad(rng.uniform(60.0, 120.0, n))
    spots = 300
    visible = energy * SAMPLING * rng.normal(1.0, 0.03, n)
    start = np.array([0.0, 10.0, 40.0])[kind]
    z = start[:, None] + rng.exponential(10.0, (n, spots))
    x = z / np.tan(theta)[:, None] + rng.normal(0.0, 5.0, (n, spots))
    y = rng.normal(0.0, 5.0, (n, spots))
    cell = calorimeter.locate(x.ravel(), y.ravel(), z.ravel()).reshape(n, spots)
    shower, spot = np.nonzero(cell >= 0)
    sign = rng.choice([-1, 1], n)
    pdg = np.where(kind == 2, 211 * sign, np.array(CLASSES)[kind])
    incident = Incident({"energy": energy, "pdg": pdg, "theta": theta, "phi": np.zeros(n)})
    share = visible[shower] / spots
    provenance = Provenance(step="test", geometry=calorimeter.hash, seed=seed)
    return Showers.from_hits(calorimeter, incident, shower, cell[shower, spot], share, provenance)
