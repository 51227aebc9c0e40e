"""What the tests share: a small calorimeter, synthetic showers, where the real ones are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.showers import Incident, Provenance, Showers

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "src" / "caloforge" / "samples"
SHARED = ROOT.parent / "shared" / "data"


def small_calorimeter(name: str = "small", n: int = 5, layers: int = 4) -> Calorimeter:
    """``layers`` layers of ``n`` x ``n`` cells of 10 mm, 5 mm deep each."""
    grid = CartesianGrid(nx=n, ny=n, dx=10.0, dy=10.0)
    return Calorimeter(
        name=name,
        cell_threshold=0.01,
        layers=tuple(Layer(z=5.0 * k, thickness=5.0, segmentation=grid) for k in range(layers)),
    )


def random_showers(
    n: int, calorimeter: Calorimeter | None = None, seed: int = 0, occupancy: float = 0.3
) -> Showers:
    """Showers with random cells, 10-100 GeV, at least one hit each."""
    calorimeter = calorimeter or small_calorimeter()
    rng = np.random.default_rng(seed)
    energy = rng.uniform(10e3, 100e3, n)
    dense = rng.exponential(1.0, (n, calorimeter.n_cells)) * energy[:, None] * 1e-4
    dense *= rng.random(dense.shape) < occupancy
    dense[:, calorimeter.n_cells // 2] += 1.0
    incident = Incident({"energy": energy, "pdg": np.full(n, 11)})
    provenance = Provenance(step="test", geometry=calorimeter.hash, seed=seed)
    return Showers.from_dense(calorimeter, incident, dense, provenance)


def lcd_showers(n: int, seed: int = 0) -> Showers:
    """Sparse random showers in lcd-ecal-25."""
    return random_showers(n, load_detector("lcd-ecal-25"), seed, occupancy=0.02)
