"""Small files of every format, ways to damage them, and the verdict on what reading them gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid, Layer
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources import detect, get_source, source_names
from podio_files import good, write_podio

Verdict = Literal["error", "identical", "other", "foreign"]

SHOWERS = 8

MUTATIONS = ("flip", "zero", "swap", "cut", "insert")

FOREIGN_PODIO = "edm4hep-foreign"

WITHOUT_CHECKSUM = {
    FOREIGN_PODIO: "podio stores no checksum, and lists of less than a few hundred bytes as they "
    "are, without that of the compression",
}
"""Files in which flipped bytes may give other numbers, and why; all others give an error."""


@dataclass(frozen=True)
class Case:
    """A kind of file: format and ending."""

    name: str
    format: str
    suffix: str
    detector: Calorimeter | None = field(default=None, repr=False)

    def write(self, folder: Path, showers: Showers | None = None) -> Path:
        """A good file of this kind; with showers of its own unless others are given."""
        path = folder / f"good{self.suffix}"
        if self.name == FOREIGN_PODIO:
            return write_podio(path, good())
        showers = showers or sample(calorimeter_for(self.format))
        with get_source(self.format).create(path, showers.calorimeter, showers.provenance) as new:
            new.append(showers[:3])
            new.append(showers[3:])
        return path

    def read(self, path: Path, size: int = 3) -> Showers:
        """All showers of a file that is taken as whatever it looks like."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged floats
            with detect(path).open(path, self.detector) as reader:
                return Showers.concatenate(list(reader.batches(size)))


def small_grid(rings: bool, n_layers: int = 3) -> Calorimeter:
    """Layers of 16 cells."""
    grid: CylindricalGrid | CartesianGrid = CartesianGrid(nx=4, ny=4, dx=10.0, dy=8.0)
    if rings:
        grid = CylindricalGrid(r_edges=(0.0, 2.0, 5.0, 9.0, 20.0), n_phi=4)
    layers = tuple(Layer(z=6.0 * k, thickness=5.0, segmentation=grid) for k in range(n_layers))
    return Calorimeter(name="small", layers=layers)


def calorimeter_for(name: str) -> Calorimeter:
    """A small calorimeter that the format can hold."""
    return small_grid(name in ("calochallenge", "par04"), 1 if name == "lagan" else 3)


def sample(calorimeter: Calorimeter, n: int = SHOWERS) -> Showers:
    """Showers without equal energies."""
    rng = np.random.default_rng(4)
    dense = rng.exponential(30.0, (n, calorimeter.n_cells))
    dense *= rng.random(dense.shape) < 0.4
    dense[:, 5] = rng.uniform(1.0, 2.0, n)
    angles = {"theta": rng.uniform(1.2, 1.9, n), "phi": rng.uniform(-0.2, 0.2, n)}
    particles = {"energy": rng.uniform(1e3, 1e5, n), "pdg": np.full(n, 22)}
    incident = Incident({**particles, **angles})
    provenance = Provenance("test", calorimeter.hash, seed=4, source={"generator": "dice"})
    return Showers.from_dense(calorimeter, incident, dense, provenance)


def cases() -> dict[str, Case]:
    """Every format, in HDF5 and ROOT where it has both, and a podio file as others write it."""
    found = []
    for name in source_names():
        endings = get_source(name).suffixes
        kinds = [endings[0]]
        if endings[0] == ".h5" and ".root" in endings:
            kinds.append(".root")
        for kind in kinds:
            label = name if kind == kinds[0] else f"{name}{kind}"
            found.append(Case(label, name, kind))
    grid = CartesianGrid(nx=40, ny=40, dx=10.0, dy=10.0)
    wide = Calorimeter(
        name="wide",
        layers=tuple(Layer(z=5.0 * k, thickness=5.0, segmentation=grid) for k in range(4)),
    )
    found.append(Case(FOREIGN_PODIO, "edm4hep", ".root", wide))
    return {case.name: case for case in found}


def equal(a: Showers, b: Showers) -> bool:
    """Same geometry, hits and incident table, to the last bit."""
    return (
        a.calorimeter.hash == b.calorimeter.hash
        and np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and np.array_equal(a.energy, b.energy)
        and set(a.incident) == set(b.incident)
        and all(np.array_equal(a.incident[name], b.incident[name]) for name in a.incident)
    )


def judge(case: Case, path: Path, expected: Showers) -> tuple[Verdict, str]:
    """What reading ``path`` gives, and what was said."""
    try:
        found = case.read(path)
    except CaloforgeError as error:
        clear = path.name in str(error) and "\n" not in str(error)
        return ("error" if clear else "foreign"), f"{type(error).__name__}: {error}"
    except Exception as error:
        return "foreign", f"{type(error).__name__}: {error}"
    return ("identical" if equal(found, expected) else "other"), ""


def flips(content: bytes, times: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Copies with one changed byte each, and its place."""
    rng = np.random.default_rng(seed)
    for place in rng.choice(len(content), min(times, len(content)), replace=False):
        changed = bytearray(content)
        changed[place] ^= int(rng.integers(1, 256))
        yield int(place), bytes(changed)


def mutate(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A damaged copy, and what was done: one of :data:`MUTATIONS`."""
    kind = str(rng.choice(MUTATIONS))
    data = bytearray(content)
    place = int(rng.integers(len(data)))
    size = int(min(2 ** rng.uniform(0, 11), len(data) - place))
    if kind == "flip":
        for one in rng.integers(len(data), size=rng.integers(1, 5)):
            data[one] ^= int(rng.integers(1, 256))
    elif kind == "zero":
        data[place : place + size] = bytes(size)
    elif kind == "swap":
        other = int(rng.integers(len(data) - size + 1))
        there = bytes(data[other : other + size])
        data[other : other + size], data[place : place + size] = data[place : place + size], there
    elif kind == "cut":
        del data[place:]
    else:
        data[place:place] = rng.bytes(size)
    return kind, bytes(data)


def cuts(content: bytes, steps: int = 100) -> Iterator[tuple[int, bytes]]:
    """The file cut at every hundredth of it, and how long it is then."""
    for k in range(steps):
        length = len(content) * k // steps
        yield length, content[:length]
