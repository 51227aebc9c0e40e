"""CaloGAN's ROOT tree: a branch per cell (``cell_0``, ...; MeV), ``TotalEnergy`` in GeV.

The branches behind the last cell (``cell_504`` to ``cell_506``) are the overflow of every layer.
Units as in CaloGAN's own Geant4 application, which writes the kinetic energy / 1000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.checksums import CHECKSUM, checksums, require_checksums
from caloforge.sources.origin import own_provenance
from caloforge.sources.part_reader import PartReader, check_energies
from caloforge.sources.root_files import (
    PROVENANCE,
    entries_of,
    open_root,
    root_geometry,
    root_text,
    trees,
)
from caloforge.sources.root_writer import Branches, RootWriter
from caloforge.store.damage import damage_errors
from caloforge.transform import Tally

GEV = 1000.0
USUAL = "calogan-lar"
TREE = "fancy_tree"
"""Name that CaloGAN's converter reads; any other is read too."""

ENERGY = "TotalEnergy"
MAX_CELLS = 4096
"""More cells are not written: every one is a branch."""

_BLOCK = 1000
"""Showers read at once: a tree is packed by branch, small parts would unpack it again and again."""

Layers = Callable[[Calorimeter, Path], list[tuple[int, int]]]
"""Cells along (x, y) of every layer, or a FormatError."""


def count_overflow(tally: Tally, cells: NDArray[np.float64], overflow: NDArray[np.float64]) -> None:
    """Count energy beside the cells (n, layers) as outside."""
    outside = float(overflow.sum())
    showers = int(np.count_nonzero(overflow.sum(axis=1)))
    tally.add(float(cells.sum()) + outside, outside, showers)


def _find(file: Any) -> Any:
    """The tree with the cells; None without one."""
    for tree in trees(file).values():
        if {"cell_0", ENERGY} <= set(tree.keys(recursive=False)):
            return tree
    return None


def is_calogan_root(path: Path) -> bool:
    """Whether a ROOT file has a tree of cells (never raises)."""
    try:
        with open_root(path) as file, damage_errors(path):
            return _find(file) is not None
    except FormatError:
        return False


class CaloGanRootReader(PartReader):
    """Reads the tree in blocks.

    Raises:
        FormatError: no such tree, or its cells are not those of the calorimeter.
        ShowerError: no showers.
    """

    def __init__(self, path: Path, given: Calorimeter | None, layers: Layers) -> None:
        self._file = open_root(path)
        try:
            with damage_errors(path):
                self._tree = _find(self._file)
                if self._tree is None:
                    raise FormatError(
                        f"{path}: no tree with cell_0 and {ENERGY}; "
                        "choose the right format with --from"
                    )
                found = root_geometry(self._file, path)
                calorimeter = given or found or load_detector(USUAL)
                provenance = own_provenance(path, calorimeter, root_text(self._file, PROVENANCE))
                layers(calorimeter, path)
                self._names = self._cell_names(calorimeter, path)
                self._checked = CHECKSUM in self._tree
                showers = entries_of(self._tree, path, [*self._names, ENERGY])
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, calorimeter, provenance, showers)
        if showers == 0:
            self.close()
            raise ShowerError(f"{path}: '{ENERGY}' holds no showers; give a file with events")
        self._first = 0
        self._block = np.zeros((0, len(self._names) + 1))

    def _cell_names(self, calorimeter: Calorimeter, path: Path) -> list[str]:
        """Branches of the cells, and of the overflows where the tree has them."""
        present = set(self._tree.keys(recursive=False))
        count = sum(name.startswith("cell_") for name in present)
        cells, layers = calorimeter.n_cells, calorimeter.n_layers
        names = [f"cell_{k}" for k in range(count)]
        if count not in (cells, cells + layers) or not present.issuperset(names):
            raise FormatError(
                f"{path}: {count} branches cell_..., '{calorimeter.name}' needs cell_0 to "
                f"cell_{cells - 1} and {layers} overflows; choose another --detector"
            )
        return names

    def _rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Cells, overflows and energy of the showers ``start:stop`` as columns."""
        last = self._first + len(self._block)
        if not self._first <= start <= stop <= last:
            end = min(len(self), max(stop, start + _BLOCK))
            names = [*self._names, ENERGY, *([CHECKSUM] if self._checked else [])]
            with damage_errors(self.path):
                table = self._tree.arrays(names, entry_start=start, entry_stop=end, library="np")
            for name in names:
                if table[name].ndim != 1 or table[name].dtype.kind not in "iuf":
                    raise FormatError(
                        f"{self.path}: '{name}' does not hold one number per entry; "
                        "choose the right format with --from"
                    )
            self._block = np.column_stack([table[name].astype(np.float64) for name in names])
            if self._checked:
                kept, self._block = self._block[:, -1], self._block[:, :-1]
                require_checksums(self.path, start, _checksums(self._block), kept)
            self._first = start
        return self._block[start - self._first : stop - self._first]

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        rows = self._rows(start, stop)
        incident = Incident({"energy": rows[:, -1] * GEV})
        check_energies(self.path, "cell_", rows[:, :-1], start)
        cells, overflow = np.split(rows[:, :-1], [self.calorimeter.n_cells], axis=1)
        if overflow.shape[1]:
            count_overflow(self.tally, cells, overflow)
        return Showers.from_dense(self.calorimeter, incident, cells, self.provenance)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _checksums(rows: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Of cells, overflows and energy."""
    return checksums(np.zeros(len(rows) + 1, dtype=np.int64), (), rows)


class CaloGanRootWriter(RootWriter):
    """Writes the tree."""

    def __init__(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance, layers: Layers
    ) -> None:
        layers(calorimeter, path)
        if calorimeter.n_cells > MAX_CELLS:
            raise FormatError(
                f"{path}: calogan's tree has a branch per cell, {calorimeter.n_cells} are too many "
                f"(at most {MAX_CELLS}); write HDF5, with a name that ends in .h5"
            )
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, Branches]:
        """One entry per shower; no overflow."""
        dense = showers.dense().astype(np.float64)
        nothing = np.zeros((len(showers), self.calorimeter.n_layers))
        cells = np.hstack([dense, nothing])
        branches = {f"cell_{k}": np.ascontiguousarray(column) for k, column in enumerate(cells.T)}
        energy = showers.incident.energy / GEV
        sums = _checksums(np.column_stack([cells, energy]))
        return {TREE: {**branches, ENERGY: energy, CHECKSUM: sums}}
