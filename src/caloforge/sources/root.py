"""Flat ROOT trees: one entry per shower, its hits in lists of equal length.

Our tree ``showers``: ``energy`` (MeV), the other incident columns, ``nhit``, and per hit
``hit_cell``, ``hit_layer``, ``hit_i``, ``hit_j`` and ``hit_energy`` (MeV).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.geometry.blocks import Block, blocks_of
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.checksums import CHECKSUM, require_checksums
from caloforge.sources.hit_lists import same_counts, showers_of_lists
from caloforge.sources.origin import own_geometry, own_provenance
from caloforge.sources.part_reader import PartReader
from caloforge.sources.root_files import (
    GEOMETRY,
    PROVENANCE,
    entries_of,
    is_root,
    open_root,
    root_text,
)
from caloforge.sources.root_layouts import (
    KNOWN,
    TREE,
    UNITS,
    Hits,
    RootOptions,
    known_layout,
    resolve,
)
from caloforge.sources.root_tree_writer import RootTreeWriter, tree_checksums
from caloforge.store.damage import damage_errors

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")

Lists = tuple[NDArray[np.int64], NDArray[Any]]
"""Length of every shower's list, and all entries."""


class RootReader(PartReader):
    """Reads a flat tree in parts.

    Raises:
        FormatError: no such tree or branch, damaged, or the unit or calorimeter is not said.
        ShowerError: no showers.
        GeometryError: the given calorimeter is not the file's own.
    """

    def __init__(self, path: Path, given: Calorimeter | None, options: RootOptions) -> None:
        self._file = open_root(path)
        try:
            with damage_errors(path):
                self._tree = _tree_of(self._file, path, options.tree)
                self._layout = resolve(
                    path, self._tree.name, set(self._tree.keys(recursive=False)), options
                )
                self._checked = CHECKSUM in self._tree and self._layout.is_ours
                geometry = root_text(self._file, GEOMETRY)
                provenance = root_text(self._file, PROVENANCE)
                showers = entries_of(self._tree, path, self._layout.branches)
            calorimeter = own_geometry(path, given, geometry, provenance)
            self._blocks = _blocks(path, calorimeter, len(self._layout.parts))
            if showers < 1:
                raise ShowerError(f"{path}: tree '{self._tree.name}' holds no showers; give events")
            origin = own_provenance(path, calorimeter, provenance)
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, calorimeter, origin, showers)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        layout = self._layout
        names = [*layout.branches, *([CHECKSUM] if self._checked else [])]
        with damage_errors(self.path):
            arrays = self._tree.arrays(names, entry_start=start, entry_stop=stop, library="ak")
            columns = {
                name: _numbers(self.path, branch, arrays[branch])
                for name, branch in layout.columns.items()
            }
            parts = [
                self._hits(arrays, hits, block, start)
                for hits, block in zip(layout.parts, self._blocks, strict=True)
            ]
            if self._checked:
                found = tree_checksums(*parts[0], columns)
                require_checksums(self.path, start, found, np.asarray(arrays[CHECKSUM]))
        columns["energy"] = columns["energy"] * UNITS[layout.energy_unit]
        counts = np.sum([part[0] for part in parts], axis=0)
        shower = np.concatenate([np.repeat(np.arange(len(n)), n) for n, _, _ in parts])
        order = np.argsort(shower, kind="stable")
        assert layout.hit_unit is not None
        return showers_of_lists(
            self.path,
            start,
            self.calorimeter,
            Incident(columns),
            counts,
            np.concatenate([cell for _, cell, _ in parts])[order],
            np.concatenate([energy for _, _, energy in parts])[order] * UNITS[layout.hit_unit],
            self.provenance,
        )

    def _hits(
        self, arrays: Any, hits: Hits, block: Block, start: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Hits per shower, cell numbers and energies (unit of the file) of one sub-detector."""
        counts, energy = _lists(self.path, hits.energy, arrays[hits.energy], "fiu")
        indices = []
        for name in hits.indices:
            number, values = _lists(self.path, name, arrays[name], "iu")
            same_counts(self.path, start, (hits.energy, name), counts, number)
            indices.append(values.astype(np.int64))
        cell = indices[0] if hits.cell else self._cells(block, indices, counts, start)
        return counts, cell, energy.astype(np.float64)

    def _cells(
        self,
        block: Block,
        indices: list[NDArray[np.int64]],
        counts: NDArray[np.int64],
        start: int,
    ) -> NDArray[np.int64]:
        """Cell numbers of (layer, i, j) inside a block of layers."""
        layer, i, j = indices
        layers = self.calorimeter.layers[block.first_layer : block.first_layer + block.n_layers]
        shape = np.array([one.segmentation.shape for one in layers])
        known = np.clip(layer, 0, block.n_layers - 1)
        bad = (layer != known) | (i < 0) | (j < 0)
        bad |= (i >= shape[known, 0]) | (j >= shape[known, 1])
        if bad.any():
            hit = int(np.flatnonzero(bad)[0])
            shower = start + int(np.searchsorted(np.cumsum(counts), hit, side="right"))
            raise ShowerError(
                f"{self.path}: shower {shower}: no cell (layer {layer[hit]}, i {i[hit]}, "
                f"j {j[hit]}) in '{self.calorimeter.name}'; use the right --detector"
            )
        return self.calorimeter.cell_index(layer + block.first_layer, i, j)


def _tree_of(file: Any, path: Path, said: str | None) -> Any:
    trees = _trees(file)
    if said is not None and said not in trees:
        raise FormatError(
            f"{path}: no tree '{said}', only {', '.join(trees) or 'none'}; "
            "name another one with --option tree=NAME"
        )
    known = [layout.tree for layout in KNOWN if layout.tree in trees]
    name = said or (known[0] if known else None)
    if name is None:
        raise FormatError(
            f"{path}: no tree '{TREE}' or 'ecalTree', only {', '.join(trees) or 'no trees'}; "
            "name one with --option tree=NAME"
        )
    return file[name]


def _trees(file: Any) -> list[str]:
    """Names of the trees of a file, old (TTree) and new (RNTuple)."""
    kinds = file.classnames(recursive=True, cycle=False)
    return [name for name, kind in kinds.items() if kind in _TREES]


def _blocks(path: Path, calorimeter: Calorimeter, number: int) -> tuple[Block, ...]:
    """The layers that every sub-detector of the file means."""
    if number == 1:
        return (Block(0, calorimeter.n_layers, 0, 0),)
    blocks = blocks_of(calorimeter)
    if len(blocks) != number:
        raise FormatError(
            f"{path}: holds {number} sub-detectors, '{calorimeter.name}' has {len(blocks)}; "
            "use a --detector such as lcd-ecal+lcd-hcal"
        )
    return blocks


def _numbers(path: Path, name: str, array: Any) -> NDArray[np.float64]:
    """A branch with one number per shower."""
    import awkward as ak

    if array.ndim != 1 or (values := ak.to_numpy(array)).dtype.kind not in "fiub":
        raise FormatError(
            f"{path}: branch '{name}' does not hold one number per shower; "
            "name another one with --option"
        )
    return np.asarray(values, dtype=np.float64)


def _lists(path: Path, name: str, array: Any, kinds: str) -> Lists:
    """A branch with one list of numbers per shower."""
    import awkward as ak

    flat = ak.to_numpy(ak.flatten(array)) if array.ndim == 2 else np.array("")
    if flat.dtype.kind not in kinds:
        wanted = "whole numbers" if kinds == "iu" else "numbers"
        raise FormatError(
            f"{path}: branch '{name}' does not hold one list of {wanted} per shower; "
            "name another one with --option"
        )
    return ak.to_numpy(ak.num(array)).astype(np.int64), flat


class Root(Source):
    """Flat ROOT trees, ours and others."""

    name = "root"
    description = "ROOT, flat tree: one entry per shower, lists of hits (MeV)"
    suffixes = (".root",)
    options_class = RootOptions

    def matches(self, path: Path) -> bool:
        """A tree ``showers`` or ``ecalTree`` with the branches of a known layout."""
        if not is_root(path):
            return False
        try:
            with open_root(path) as file:
                trees = _trees(file)
                return any(
                    layout.tree in trees
                    and known_layout(layout.tree, set(file[layout.tree].keys(recursive=False)))
                    for layout in KNOWN
                )
        except Exception:  # whatever a foreign or damaged file makes of uproot
            return False

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> RootReader:
        """Open for reading; a tree of others needs its calorimeter."""
        return RootReader(path, calorimeter, options or RootOptions())

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> RootTreeWriter:
        """Write our tree."""
        return RootTreeWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing is lost."""
        return []
