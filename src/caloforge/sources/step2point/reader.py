"""Reads the showers of a step2point file into the cells of a calorimeter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.sources.cellid import CellId
from caloforge.sources.hdf5 import source_provenance
from caloforge.sources.lab.hits import Hits, Whole, is_endcap
from caloforge.sources.lab.options import DEPTH, LabOptions, chosen
from caloforge.sources.lab.place import SCANNED, Placement
from caloforge.sources.part_reader import PartReader
from caloforge.sources.step2point.steps import (
    GEV,
    check_layout,
    event_bounds,
    read_primaries,
    subdetectors,
)

_SCAN_PART = 100


class Step2pointReader(PartReader):
    """An event is a shower: the steps in the chosen subdetectors around the primary particle.

    Raises:
        ConfigError: no such subdetector, or the front face is not known.
        FormatError: the file lacks something.
        ShowerError: no events.
    """

    def __init__(
        self, path: Path, file: h5py.File, calorimeter: Calorimeter, options: LabOptions
    ) -> None:
        self._file = file
        self._options = options
        self._massless = 0
        check_layout(file, path)
        self._names = subdetectors(file, path)
        names = chosen(options, self._names, path)
        self._wanted = np.array([name in names for name in self._names])
        self._endcaps = np.array([is_endcap(name) for name in self._names])
        self._encoding = _encoding(path, options)
        self._bounds: Whole = event_bounds(file, path)
        provenance = source_provenance(file, path, calorimeter)
        super().__init__(path, calorimeter, provenance, len(self._bounds) - 1)
        self._placement = Placement(
            path,
            calorimeter,
            options,
            barrel=not all(map(is_endcap, names)),
            endcap=any(map(is_endcap, names)),
            sample=self._sample(),
        )
        config = {
            **options.model_dump(mode="json", exclude_none=True),
            "collections": names,
            **self._placement.description(),
        }
        self.provenance = replace(provenance, config=config)

    @property
    def notes(self) -> list[str]:
        """What the user should know of the showers read so far, one sentence each."""
        notes = list(self._placement.notes)
        if self._placement.late:
            notes.append(
                f"{self.path}: {self._placement.late:.6g} MeV came after "
                f"{self._options.time_max} ns and is left out"
            )
        if self._massless:
            notes.append(
                f"{self.path}: {self._massless} events have a particle of unknown mass; 0 is taken"
            )
        return notes

    def read(self, start: int, stop: int) -> Showers:
        """The showers of the events ``start:stop``."""
        particles, massless = read_primaries(self._file, start, stop)
        hits = self._hits(start, stop)
        showers = self._placement.showers(hits, particles, start, self.tally, self.provenance)
        self._massless += int(massless.sum())
        return showers

    def _hits(self, start: int, stop: int) -> Hits:
        bounds = self._bounds[start : stop + 1]
        rows = slice(int(bounds[0]), int(bounds[-1]))
        event = np.repeat(np.arange(stop - start), np.diff(bounds))
        steps = self._file["steps"]
        number = np.asarray(steps["subdetector"][rows], dtype=np.int64)
        if np.any(number < 0) or np.any(number >= len(self._names)):
            raise FormatError(
                f"{self.path}: 'steps/subdetector' names number {int(number.max())}, there are "
                f"{len(self._names)} names; make the file again"
            )
        energy = np.asarray(steps["energy"][rows], dtype=np.float64) * GEV
        position = np.asarray(steps["position"][rows], dtype=np.float64)
        kept, late = self._wanted[number], 0.0
        if self._options.time_max is not None:
            time = np.asarray(steps["time"][rows], dtype=np.float64)
            if not np.isfinite(time).all():
                raise ShowerError(
                    f"{self.path}: 'steps/time' is not finite after event {start}; "
                    "leave the option time_max out"
                )
            after = time > self._options.time_max
            late = float(energy[kept & after].sum())
            kept = kept & ~after
        layer = None
        if self._encoding is not None:
            layer = self._encoding.decode(steps["cell_id"][rows], self._options.layers)[kept]
        endcap = self._endcaps[number[kept]]
        return Hits(event[kept], position[kept], energy[kept], endcap, layer, late)

    def _sample(self) -> Iterator[Hits]:
        last = min(SCANNED, len(self))
        for start in range(0, last, _SCAN_PART):
            yield self._hits(start, min(start + _SCAN_PART, last))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _encoding(path: Path, options: LabOptions) -> CellId | None:
    if options.layers == DEPTH:
        return None
    if options.encoding is None:
        raise FormatError(
            f"{path}: step2point does not say how cell_id is encoded; give it with "
            "--option encoding=TEXT"
        )
    encoding = CellId.parse(options.encoding, f"{path}: encoding")
    if options.layers not in encoding.names():
        raise FormatError(
            f"{path}: no field '{options.layers}' in {options.encoding}; "
            "choose another one with --option layers=FIELD"
        )
    return encoding
