"""What the tests share: a small calorimeter, synthetic showers, where the real ones are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.geometry import Calorimeter, CartesianGrid, Layer, load_detector
from caloforge.sampling.random import seed
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


@contextmanager
def local_dask(n_workers: int) -> Iterator[Any]:
    """A dask cluster on this machine; the test is skipped where dask is not installed.

    dask would otherwise set OMP_NUM_THREADS=1 in this process for good, and a later test's training
    in a fresh process would add in another order.
    """
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    dask = pytest.importorskip("dask")
    settings = {
        "distributed.nanny.pre-spawn-environ": {},
        "distributed.comm.timeouts.connect": "3s",  # of a worker that died
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster


def words(number: int = 1) -> np.ndarray:
    """A state of the sampler's random numbers."""
    state = np.empty(2, np.uint64)
    seed(state, np.array([number, 7], np.uint64), 0)
    return state
