"""step2point: HDF5 with the steps of a simulation and the primary particles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from caloforge.errors import CaloforgeError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance
from caloforge.sources.base import Source
from caloforge.sources.hdf5 import GEOMETRY
from caloforge.sources.lab.options import LabOptions
from caloforge.sources.lab.place import needed
from caloforge.sources.origin import written_calorimeter
from caloforge.sources.part_reader import PartReader
from caloforge.sources.step2point.own import OwnReader, Step2pointWriter
from caloforge.sources.step2point.reader import Step2pointReader
from caloforge.sources.step2point.steps import PRIMARY, STEPS
from caloforge.store.attributes import require_readable_attributes, text_of
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5


class Step2point(Source):
    """One event is one shower; needs a calorimeter, unless we wrote the file."""

    name = "step2point"
    description = "step2point HDF5: simulation steps (GeV, mm) around the primary particle"
    options_class = LabOptions

    def matches(self, path: Path) -> bool:
        """The groups ``primary`` and ``steps`` with their data sets."""
        try:
            with damage_errors(path), open_hdf5(path) as file:
                return all(name in file for name in (*PRIMARY, *STEPS))
        except CaloforgeError:
            return False

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> PartReader:
        """Open for reading.

        A file that we wrote gives back its cells; with another calorimeter, or with options, its
        steps are placed like those of any other file.
        """
        options = options or LabOptions()
        file = open_hdf5(path)
        try:
            with damage_errors(path):
                return self._reader(path, file, calorimeter, options)
        except BaseException:
            file.close()
            raise

    def _reader(
        self, path: Path, file: h5py.File, calorimeter: Calorimeter | None, options: LabOptions
    ) -> PartReader:
        require_readable_attributes(file, path)
        text = file.attrs.get(GEOMETRY)
        if text is not None:
            own = written_calorimeter(path, text_of(text), _text(file, "provenance"))
            calorimeter = calorimeter or own
            if options == LabOptions() and calorimeter.hash == own.hash:
                return OwnReader(path, file, calorimeter)
        return Step2pointReader(path, file, needed(calorimeter, path), options)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> Step2pointWriter:
        """Write one step per hit cell, in a barrel around the beam (see :func:`.aim.placed`)."""
        return Step2pointWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing of the incident particles is lost."""
        return []


def _text(file: h5py.File, key: str) -> str | None:
    value = file.attrs.get(key)
    return None if value is None else text_of(value)
