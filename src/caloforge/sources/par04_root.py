"""The ROOT file of Geant4's Par04 example: one entry per event, lists of hit cells.

Branch ``EnergyMC`` (MeV), and ``rhoCell``, ``phiCell``, ``zCell`` (numbers from 0) with
``EnergyCell`` (MeV); in trees ``global`` and ``virtualReadout``, in older versions all in
``events``. Angles in ``ThetaMC`` and ``PhiMC`` (rad), where they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.checksums import CHECKSUM, checksums, require_checksums
from caloforge.sources.origin import own_provenance
from caloforge.sources.part_reader import PartReader
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

EVENT_TREE, CELL_TREE = "global", "virtualReadout"
ENERGY = "EnergyMC"
ANGLES = {"theta": "ThetaMC", "phi": "PhiMC"}
INDICES = ("rhoCell", "phiCell", "zCell")
DEPOSIT = "EnergyCell"

_LOOK = 20
"""Showers that tell the low from the high granularity, where the file does not."""

Mesh = Callable[[Calorimeter, Path], tuple[int, int, int]]
"""Cells along (z, rho, phi), or a FormatError."""


def _find(file: Any, usual: str, branches: set[str]) -> Any:
    """The tree with these branches, the one of the usual name first; None without any."""
    found = trees(file)
    ordered = sorted(found, key=lambda name: (name.rpartition("/")[2] != usual, name))
    for name in ordered:
        if branches <= set(found[name].keys(recursive=False)):
            return found[name]
    return None


def _both(file: Any) -> tuple[Any, Any]:
    """The trees with the events and with the cells; None where there is none."""
    return _find(file, EVENT_TREE, {ENERGY}), _find(file, CELL_TREE, {DEPOSIT, *INDICES})


def is_par04_root(path: Path) -> bool:
    """Whether a ROOT file has the branches of the example (never raises)."""
    try:
        with open_root(path) as file, damage_errors(path):
            return None not in _both(file)
    except FormatError:
        return False


class Par04RootReader(PartReader):
    """Reads the trees in parts; entries of the same cell are summed.

    Raises:
        FormatError: a tree or branch is missing, or the trees differ in length.
        ShowerError: no showers.
    """

    def __init__(self, path: Path, given: Calorimeter | None, mesh: Mesh) -> None:
        self._file = open_root(path)
        try:
            with damage_errors(path):
                self._open_trees(path)
                calorimeter = given or root_geometry(self._file, path) or self._guess(path)
                provenance = own_provenance(path, calorimeter, root_text(self._file, PROVENANCE))
                showers = int(self._events.num_entries)
            self._n_z, self._n_rho, self._n_phi = mesh(calorimeter, path)
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, calorimeter, provenance, showers)

    def _open_trees(self, path: Path) -> None:
        self._events, self._cells = _both(self._file)
        if self._events is None or self._cells is None:
            raise FormatError(
                f"{path}: no tree with {ENERGY}, or none with {', '.join(INDICES)} and {DEPOSIT}; "
                "choose the right format with --from"
            )
        self._names = {"energy": ENERGY}
        present = set(self._events.keys(recursive=False))
        self._names |= {key: name for key, name in ANGLES.items() if name in present}
        self._checked = CHECKSUM in present
        events = entries_of(self._events, path, self._names.values())
        cells = entries_of(self._cells, path, (DEPOSIT, *INDICES))
        if events != cells:
            raise FormatError(
                f"{path}: {events} entries of '{ENERGY}' but {cells} of '{DEPOSIT}'; "
                "make the file again"
            )
        if events == 0:
            raise ShowerError(f"{path}: '{ENERGY}' holds no showers; give a file with events")

    def _guess(self, path: Path) -> Calorimeter:
        """The mesh of a foreign file: the low granularity if the first showers fit it."""
        low = load_detector("par04-siw")
        _, numbers, _ = self._hits(path, 0, min(_LOOK, int(self._cells.num_entries)))
        _, n_rho, n_phi = low.grid_shape or (0, 0, 0)
        fits = np.all((numbers[0] < n_rho) & (numbers[1] < n_phi))
        return low if fits else load_detector("par04-siw-fine")

    def _hits(
        self, path: Path, start: int, stop: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Hits per shower, (rho, phi, z) of every hit as rows, and its energy."""
        import awkward as ak

        names = [DEPOSIT, *INDICES]
        lists = self._cells.arrays(names, entry_start=start, entry_stop=stop)
        counts = np.asarray(ak.num(lists[DEPOSIT]), dtype=np.int64)
        flat = {}
        for name in names:
            if not np.array_equal(np.asarray(ak.num(lists[name])), counts):
                raise FormatError(
                    f"{path}: '{name}' and '{DEPOSIT}' differ in length in a shower of "
                    f"{start}..{stop - 1}; make the file again"
                )
            flat[name] = np.asarray(ak.flatten(lists[name], axis=1))
            if flat[name].dtype.kind not in ("iuf" if name == DEPOSIT else "iu"):
                raise FormatError(
                    f"{path}: '{name}' holds {flat[name].dtype}, not numbers of its kind; "
                    "choose the right format with --from"
                )
        numbers = np.array([flat[name].astype(np.int64) for name in INDICES])
        return counts, numbers, flat[DEPOSIT].astype(np.float64)

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        with damage_errors(self.path):
            counts, (rho, phi, z), energy = self._hits(self.path, start, stop)
            columns = self._columns(start, stop)
            if self._checked:
                kept = self._events[CHECKSUM].array(
                    entry_start=start, entry_stop=stop, library="np"
                )
                found = _checksums(counts, energy, (rho, phi, z), columns)
                require_checksums(self.path, start, found, kept)
        row = np.repeat(np.arange(stop - start), counts)
        bad = ~(np.isfinite(energy) & (energy >= 0))
        if bad.any():
            hit = int(np.flatnonzero(bad)[0])
            raise ShowerError(
                f"{self.path}: '{DEPOSIT}' shower {start + row[hit]} holds {energy[hit]}; "
                "energies must be finite and not negative"
            )
        limits = ((rho, self._n_rho), (phi, self._n_phi), (z, self._n_z))
        outside = np.any([(value < 0) | (value >= limit) for value, limit in limits], axis=0)
        if outside.any():
            hit = int(np.flatnonzero(outside)[0])
            raise ShowerError(
                f"{self.path}: shower {start + row[hit]} has a hit in cell (rho, phi, z) = "
                f"({rho[hit]}, {phi[hit]}, {z[hit]}), outside the {self._n_rho} x {self._n_phi} x "
                f"{self._n_z} of '{self.calorimeter.name}'; choose another --detector"
            )
        cell = (z * self._n_rho + rho) * self._n_phi + phi
        incident = Incident(columns)
        return Showers.from_hits(self.calorimeter, incident, row, cell, energy, self.provenance)

    def _columns(self, start: int, stop: int) -> dict[str, NDArray[np.float64]]:
        names = list(self._names.values())
        table = self._events.arrays(names, entry_start=start, entry_stop=stop, library="np")
        return {key: numbers(self.path, name, table[name]) for key, name in self._names.items()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def numbers(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """A branch of one number per entry.

    Raises:
        FormatError: it holds lists or text.
    """
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise FormatError(
            f"{path}: '{name}' does not hold one number per entry; "
            "choose the right format with --from"
        )
    return values.astype(np.float64)


def _checksums(
    counts: NDArray[np.int64],
    energy: NDArray[np.float64],
    indices: Iterable[NDArray[Any]],
    columns: Mapping[str, NDArray[Any]],
) -> NDArray[np.uint32]:
    hits: list[NDArray[Any]] = [energy, *(index.astype(np.int32) for index in indices)]
    offset = np.concatenate([[0], np.cumsum(counts)])
    return checksums(offset, hits, np.column_stack([*columns.values()]))


class Par04RootWriter(RootWriter):
    """Writes the trees of the example."""

    def __init__(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance, mesh: Mesh
    ) -> None:
        mesh(calorimeter, path)
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, Branches]:
        """One entry per shower in both trees."""
        import awkward as ak

        layer, i, j = self.calorimeter.cell_coordinates(showers.cell)
        deposit = showers.energy.astype(np.float64)
        hits: dict[str, NDArray[Any]] = {
            DEPOSIT: deposit,
            "rhoCell": i.astype(np.int32),
            "phiCell": j.astype(np.int32),
            "zCell": layer.astype(np.int32),
        }
        counts = showers.hits_per_shower
        incident = showers.incident
        columns = {key: incident[key] for key in ("energy", *ANGLES) if key in incident}
        table = {{"energy": ENERGY, **ANGLES}[key]: values for key, values in columns.items()}
        sums = _checksums(counts, deposit, (i, j, layer), columns)
        return {
            EVENT_TREE: {**table, CHECKSUM: sums},
            CELL_TREE: {name: ak.unflatten(values, counts) for name, values in hits.items()},
        }
