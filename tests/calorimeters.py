"""Random calorimeters and showers for the tests of formats."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import get_source

RELATIVE = 2e-7
"""Allowed difference of a cell after a round trip."""

_sizes = st.floats(0.5, 60.0)
_centres = st.floats(-200.0, 200.0)

cartesian = st.builds(
    lambda nx, ny, dx, dy, x, y: CartesianGrid(nx=nx, ny=ny, dx=dx, dy=dy, centre=(x, y)),
    *(st.integers(1, 6), st.integers(1, 6), _sizes, _sizes, _centres, _centres),
)
cylindrical = st.builds(
    lambda first, rings, n_phi: CylindricalGrid(
        r_edges=tuple(np.cumsum([first, *rings]).tolist()), n_phi=n_phi
    ),
    *(st.sampled_from([0.0, 7.5]), st.lists(_sizes, min_size=1, max_size=4), st.integers(1, 7)),
)


@st.composite
def calorimeters(draw: st.DrawFn) -> Calorimeter:
    """One to four layers of unlike cells, with gaps between them."""
    layers = []
    z = draw(st.floats(0.0, 30.0))
    for grid in draw(st.lists(st.one_of(cartesian, cylindrical), min_size=1, max_size=4)):
        thickness = draw(st.floats(0.1, 30.0))
        layers.append(Layer(z=z, thickness=thickness, segmentation=grid))
        z += thickness + draw(st.sampled_from([0.0, 2.0]))
    return Calorimeter(name="random", layers=tuple(layers))


def random_sample(calorimeter: Calorimeter, n: int, seed: int) -> Showers:
    """Showers with energies over twelve decades, some of them nearly empty, all columns there."""
    rng = np.random.default_rng(seed)
    shape = (n, calorimeter.n_cells)
    dense = 10.0 ** rng.uniform(-6, 6, shape) * (rng.random(shape) < 0.4)
    dense[:, calorimeter.n_cells // 2] = 1.0
    incident = Incident(
        {
            "energy": rng.uniform(1e3, 5e5, n),
            "pdg": rng.choice([11, -11, 22, 111, 211], n),
            "theta": rng.uniform(0.5, 2.5, n),
            "phi": rng.uniform(-1.5, 1.5, n),
            "x": rng.normal(0, 3, n),
            "y": rng.normal(0, 3, n),
            "z": rng.normal(0, 3, n),
            "opening_angle": rng.uniform(0, 0.01, n),
            "conversion": rng.integers(0, 3, n),
        }
    )
    provenance = Provenance("test", calorimeter.hash, seed=seed, source={"generator": "dice"})
    return Showers.from_dense(calorimeter, incident, dense, provenance)


def write(path: Path, name: str, showers: Showers, pieces: Sequence[int] = ()) -> Path:
    """Write showers in format ``name``, in pieces that begin at these numbers."""
    edges = [0, *pieces, len(showers)]
    with get_source(name).create(path, showers.calorimeter, showers.provenance) as writer:
        for a, b in pairwise(edges):
            writer.append(showers[a:b])
    return path


def read(
    path: Path,
    name: str,
    calorimeter: Calorimeter | None = None,
    options: Any = None,
    size: int = 2,
    start: int = 0,
    stop: int | None = None,
) -> Showers:
    """Read showers of format ``name`` in parts."""
    with get_source(name).open(path, calorimeter, options) as reader:
        return Showers.concatenate(list(reader.batches(size, start, stop)))


def same_cells(a: Showers, b: Showers) -> bool:
    """Same geometry, same cells hit, energies equal to float32 rounding."""
    return (
        a.calorimeter.hash == b.calorimeter.hash
        and np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and bool(np.all(np.abs(a.energy / b.energy - 1.0) <= RELATIVE))
    )


def flip_bytes(path: Path, name: str, showers: Showers, times: int) -> None:
    """Flip single bytes of a good file: reading gives one clear error, or the same showers."""
    whole = path.read_bytes()
    said: list[str] = []
    for position in np.random.default_rng(1).integers(0, len(whole), times):
        flipped = bytes([whole[position] ^ 0x55])
        path.write_bytes(whole[:position] + flipped + whole[position + 1 :])
        get_source(name).matches(path)
        try:
            assert same_cells(read(path, name, size=len(showers)), showers), position
        except CaloforgeError as error:
            said.append(str(error))
    path.write_bytes(whole)
    assert said
    assert not any("\n" in text for text in said)
    assert all(path.name in text for text in said)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from caloforge.errors import OutputError
from caloforge.conversion import convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    convert(sys.argv[1], sys.argv[2], to=sys.argv[3], limit=100)
except OutputError as error:
    print(error)
    sys.exit(7)
"""


def convert_with_full_disk(source: Path, output: Path, to: str, limit: int) -> str:
    """What a conversion says when files may grow to ``limit`` bytes only; fails if it works."""
    command = [sys.executable, "-c", FULL_DISK, str(source), str(output), to, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    return done.stdout
