"""Writing our flat ROOT tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Provenance, Showers
from caloforge.sources.checksums import CHECKSUM, checksums
from caloforge.sources.root_files import GEOMETRY, PROVENANCE, new_root
from caloforge.sources.root_layouts import TREE


class RootTreeWriter:
    """Writes our tree ``showers``, our geometry and provenance.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same incident columns.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._context = new_root(path)
        self._tree: Any = None
        self._columns: list[str] = []

    def __enter__(self) -> RootTreeWriter:
        self._file = self._context.__enter__()
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        columns = showers.incident.columns
        if self._tree is None:
            self._start(columns)
        if set(columns) != set(self._columns):
            differing = ", ".join(sorted(set(columns) ^ set(self._columns)))
            raise ShowerError(
                f"{self.path}: only some of the inputs have the incident column '{differing}'; "
                "convert them one by one"
            )
        sums = tree_checksums(showers.hits_per_shower, showers.cell, showers.energy, columns)
        self._tree.extend({**columns, CHECKSUM: sums, "hit": _hit_lists(showers)})

    def _start(self, columns: dict[str, Any]) -> None:
        self._file[GEOMETRY] = self.calorimeter.to_yaml()
        self._file[PROVENANCE] = self.provenance.to_json()
        self._columns = list(columns)
        kinds: dict[str, str] = {name: column.dtype.name for name, column in columns.items()}
        kinds[CHECKSUM] = "uint32"
        kinds["hit"] = "var * {cell: uint32, layer: int32, i: int32, j: int32, energy: float32}"
        self._tree = self._file.mktree(TREE, kinds, title="calorimeter showers; MeV, mm, rad")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)


def tree_checksums(
    counts: NDArray[np.int64],
    cell: NDArray[Any],
    energy: NDArray[Any],
    columns: Mapping[str, NDArray[Any]],
) -> NDArray[np.uint32]:
    """The checksum of every shower.

    Args:
        counts: (n,) hits per shower.
        cell: (hits,) cell numbers.
        energy: (hits,) MeV.
        columns: the incident columns, as they are in the tree.
    """
    hits = (np.asarray(cell, dtype=np.uint32), np.asarray(energy, dtype=np.float32))
    rows = np.column_stack([columns[name] for name in COLUMNS if name in columns])
    return checksums(np.concatenate([[0], np.cumsum(counts)]), hits, rows)


def _hit_lists(showers: Showers) -> Any:
    import awkward as ak

    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    flat = {
        "cell": showers.cell,
        "layer": layer.astype(np.int32),
        "i": i.astype(np.int32),
        "j": j.astype(np.int32),
        "energy": showers.energy,
    }
    counts = showers.hits_per_shower
    return ak.zip({name: ak.unflatten(values, counts) for name, values in flat.items()})
