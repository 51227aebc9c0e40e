"""step2point files that we write: one step per hit cell, at its centre; read back exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Provenance, Showers
from caloforge.sources.hdf5 import Hdf5Writer, require, source_provenance
from caloforge.sources.lab import own
from caloforge.sources.lab.aim import placed
from caloforge.sources.part_reader import PartReader
from caloforge.sources.step2point.steps import GEV, NAMES, check_layout, event_bounds

KEPT = "caloforge"
"""The group with the incident table and the checksums."""
SUBDETECTOR = "CALO"


class OwnReader(PartReader):
    """Takes the cells from the cell_id and the particles from the incident table."""

    def __init__(self, path: Path, file: h5py.File, calorimeter: Calorimeter) -> None:
        self._file = file
        check_layout(file, path)
        self._bounds = event_bounds(file, path)
        super().__init__(
            path, calorimeter, source_provenance(file, path, calorimeter), len(self._bounds) - 1
        )
        columns = [name for name in COLUMNS if f"{KEPT}/{name}" in file]
        self._names = (*columns, own.CHECKSUM)
        require(file, path, tuple(f"{KEPT}/{name}" for name in self._names))
        for name in self._names:
            if file[KEPT][name].shape != (len(self),):
                raise FormatError(
                    f"{path}: '{KEPT}/{name}' has shape {file[KEPT][name].shape} for {len(self)} "
                    "events; make the file again"
                )

    def read(self, start: int, stop: int) -> Showers:
        """The showers of the events ``start:stop``."""
        rows = slice(int(self._bounds[start]), int(self._bounds[stop]))
        energy = np.asarray(self._file["steps/energy"][rows])
        showers = own.read_back(
            self.path,
            self.calorimeter,
            start,
            np.diff(self._bounds[start : stop + 1]),
            np.asarray(self._file["steps/cell_id"][rows]),
            energy,
            {name: np.asarray(self._file[KEPT][name][start:stop]) for name in self._names},
            self.provenance,
        )
        self.tally.add(float(energy.sum(dtype=np.float64)) * GEV, 0.0, 0)
        return showers

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Step2pointWriter(Hdf5Writer):
    """Writes the groups ``primary``, ``steps``, ``metadata`` and our own.

    Raises:
        FormatError: the calorimeter has too many cells for the cell_id.
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same columns.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        own.check_fits(calorimeter, path)
        super().__init__(path, calorimeter, provenance)
        self._events = 0

    def __enter__(self) -> Step2pointWriter:
        super().__enter__()
        self._file[NAMES] = np.array([SUBDETECTOR.encode()])
        self._file["metadata"].attrs["cell_id_encoding"] = own.ENCODING
        return self

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """The rows of every data set."""
        frames, particles = placed(self.calorimeter, showers.incident)
        ids, energy = own.cell_ids(showers), own.gev(showers)
        centre = self.calorimeter.cell_positions[showers.cell.astype(np.int64)]
        events = np.arange(self._events, self._events + len(showers), dtype=np.int32)
        kept = own.table(showers, ids, energy)
        return {
            "primary/event_id": events,
            "primary/momentum": (particles.momentum / GEV).astype(np.float32),
            "primary/pdg": np.asarray(particles.pdg, dtype=np.int32),
            "primary/vertex": particles.vertex.astype(np.float32),
            "steps/cell_id": ids,
            "steps/energy": energy,
            "steps/event_id": events[showers.hit_shower],
            "steps/pdg": np.zeros(len(ids), dtype=np.int32),
            "steps/position": frames.lab(showers.hit_shower, centre).astype(np.float32),
            "steps/subdetector": np.zeros(len(ids), dtype=np.uint8),
            "steps/time": np.zeros(len(ids), dtype=np.float32),
            **{f"{KEPT}/{name}": values for name, values in kept.items()},
        }

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        content = self.content(showers)
        known = {f"{KEPT}/{name}" for name in self._file.get(KEPT, {})}
        new = {name for name in content if name.startswith(f"{KEPT}/")}
        if known and known != new:
            differing = ", ".join(sorted(known ^ new))
            raise ShowerError(
                f"{self.path}: only some of the inputs have what '{differing}' needs; "
                "convert them one by one"
            )
        for name, values in content.items():
            if len(values) or name not in self._file:
                self._extend(name, values)
        self._events += len(showers)
        self._new.check()
