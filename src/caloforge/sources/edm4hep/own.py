"""Reads the EDM4hep files that we wrote: the same cells and incident table again."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Provenance, Showers
from caloforge.sources.edm4hep.events import EventFile
from caloforge.sources.lab.own import CHECKSUM, GEV, read_back
from caloforge.sources.part_reader import PartReader
from caloforge.store.damage import damage_errors

HITS = "SimCalorimeterHits"
"""The collection of the hits."""
INCIDENT = "caloforge."
"""Before the names of the incident table's columns, one number per event."""


class OwnReader(PartReader):
    """Takes the cells from the cellID and the particles from the incident table."""

    def __init__(self, events: EventFile, calorimeter: Calorimeter) -> None:
        self._events = events
        self._columns = [name for name in COLUMNS if events.has(INCIDENT + name)]
        parents: tuple[dict[str, object], ...] = ()
        if events.provenance is not None:
            own = Provenance.from_json(events.provenance, str(events.path))
            parents = (own.to_dict(),)
        provenance = Provenance(step="read", geometry=calorimeter.hash, parents=parents)
        super().__init__(events.path, calorimeter, provenance, len(events))

    def read(self, start: int, stop: int) -> Showers:
        """The showers of the events ``start:stop``."""
        with damage_errors(self.path):
            sizes, table = self._events.table(HITS, ("cellID", "energy"), start, stop)
            names = (*self._columns, CHECKSUM)
            kept = {n: self._events.flat(INCIDENT + n, start, stop) for n in names}
        energy = table["energy"]
        showers = read_back(
            self.path,
            self.calorimeter,
            start,
            sizes,
            table["cellID"],
            energy,
            kept,
            self.provenance,
        )
        self.tally.add(float(energy.sum(dtype=np.float64)) * GEV, 0.0, 0)
        return showers

    def close(self) -> None:
        """Close the file."""
        self._events.close()
