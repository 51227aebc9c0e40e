"""What the tests of the dense formats share: random calorimeters, showers, files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import open_showers, write_showers

RELATIVE = 2e-7


@st.composite
def rings(draw: st.DrawFn) -> CylindricalGrid:
    steps = draw(st.lists(st.floats(0.5, 50.0), min_size=1, max_size=5))
    inner = draw(st.sampled_from([0.0, 1.5]))
    edges = np.round(inner + np.cumsum([0.0, *steps]), 6)
    return CylindricalGrid(r_edges=tuple(edges.tolist()), n_phi=draw(st.integers(1, 6)))


@st.composite
def rectangles(draw: st.DrawFn) -> CartesianGrid:
    size = st.floats(0.5, 200.0)
    return CartesianGrid(
        nx=draw(st.integers(1, 5)), ny=draw(st.integers(1, 5)), dx=draw(size), dy=draw(size)
    )


Grids = st.SearchStrategy[CylindricalGrid] | st.SearchStrategy[CartesianGrid]


@st.composite
def calorimeters(draw: st.DrawFn, grids: Grids, regular: bool = False) -> Calorimeter:
    depths = draw(st.lists(st.floats(0.5, 50.0), min_size=1, max_size=4))
    grid = draw(grids)
    fronts = np.cumsum([0.0, *depths])
    return Calorimeter(
        name="random",
        layers=tuple(
            Layer(z=z, thickness=depth, segmentation=grid if regular else draw(grids))
            for z, depth in zip(fronts, depths, strict=False)
        ),
    )


def random_deposits(calorimeter: Calorimeter, n: int, seed: int, **columns: float) -> Showers:
    """Showers with energies over many orders of magnitude; no two cells are equal."""
    rng = np.random.default_rng(seed)
    dense = 10 ** rng.uniform(-12, 5, (n, calorimeter.n_cells))
    dense *= rng.random(dense.shape) < 0.6
    dense[:, rng.integers(calorimeter.n_cells)] = 1.25
    table = {"energy": 10 ** rng.uniform(2, 6.5, n)}
    table |= {name: np.full(n, value) for name, value in columns.items()}
    provenance = Provenance(step="test", geometry=calorimeter.hash, source={"generator": "dice"})
    return Showers.from_dense(calorimeter, Incident(table), dense, provenance)


def assert_same(again: Showers, showers: Showers) -> None:
    """Same cells, energies equal within float32 rounding, same incident energies."""
    assert again.calorimeter.hash == showers.calorimeter.hash
    assert np.array_equal(again.offset, showers.offset)
    assert np.array_equal(again.cell, showers.cell)
    assert np.all(np.abs(again.energy / showers.energy - 1.0) <= RELATIVE)
    assert np.allclose(again.incident.energy, showers.incident.energy, rtol=1e-12, atol=0)


def there_and_back(folder: Path, showers: Showers, to: str, name: str) -> tuple[Showers, list[str]]:
    """Through the file ``name`` of format ``to`` and back, without naming format or detector."""
    store = write_showers(folder / "store.h5", showers)
    notes = convert(store, folder / name, to=to).notes
    convert(folder / name, folder / "again.h5")
    return open_showers(folder / "again.h5").read(), list(notes)


def hdf5_file(path: Path, content: Mapping[str, object]) -> Path:
    """A file with these data sets (None: left out)."""
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            if value is not None:
                file[key] = value
    return path


FULL_DISK = """
import resource, signal, sys
from caloforge.errors import OutputError
from caloforge.conversion import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    convert(sys.argv[1], sys.argv[2], to=sys.argv[3])
except OutputError as error:
    print(error)
    sys.exit(7)
"""


def full_disk(source: Path, target: Path, to: str, limit: int) -> subprocess.CompletedProcess[str]:
    """Convert in a process that may not write files beyond ``limit`` bytes."""
    arguments = [str(source), str(target), to, str(limit)]
    return subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=False
    )
