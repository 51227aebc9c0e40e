"""EDM4hep: the event data of Key4hep and DD4hep, in podio's ROOT files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance
from caloforge.sources.base import Source
from caloforge.sources.edm4hep.events import EventFile, looks_like
from caloforge.sources.edm4hep.options import Edm4hepOptions
from caloforge.sources.edm4hep.own import OwnReader
from caloforge.sources.edm4hep.reader import Edm4hepReader
from caloforge.sources.edm4hep.writer import Edm4hepWriter
from caloforge.sources.lab.place import needed
from caloforge.sources.origin import written_calorimeter
from caloforge.sources.part_reader import PartReader


class Edm4hep(Source):
    """One event is one shower; needs a calorimeter, unless we wrote the file."""

    name = "edm4hep"
    description = "EDM4hep (podio ROOT): SimCalorimeterHits around the incident MCParticle"
    suffixes = (".edm4hep.root", ".root")
    options_class = Edm4hepOptions

    def matches(self, path: Path) -> bool:
        """A tree ``events`` with calorimeter hits, beside podio's metadata or our geometry."""
        return looks_like(path)

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> PartReader:
        """Open for reading.

        A file that we wrote gives back its cells; with another calorimeter, or with options, its
        hits are placed like those of any other file.
        """
        options = options or Edm4hepOptions()
        events = EventFile(path)
        try:
            if events.geometry is not None:
                own = written_calorimeter(path, events.geometry, events.provenance)
                calorimeter = calorimeter or own
                if options == Edm4hepOptions() and calorimeter.hash == own.hash:
                    return OwnReader(events, calorimeter)
            return Edm4hepReader(events, needed(calorimeter, path), options)
        except BaseException:
            events.close()
            raise

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> Edm4hepWriter:
        """Write the hits in a barrel around the beam (see :func:`.aim.placed`)."""
        return Edm4hepWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Nothing is lost, but podio's own reader cannot open the file."""
        return [
            "edm4hep is written with podio's branch names, for uproot, awkward and RDataFrame; "
            "podio's C++ reader does not read it, as its classes are missing"
        ]
