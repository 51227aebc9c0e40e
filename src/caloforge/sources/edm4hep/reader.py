"""Reads the showers of an EDM4hep file into the cells of a calorimeter."""

from __future__ import annotations

from collections.abc import Iterator

from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.sources.edm4hep.events import EventFile
from caloforge.sources.edm4hep.hits import HitCollection
from caloforge.sources.edm4hep.options import Edm4hepOptions
from caloforge.sources.edm4hep.particles import read_particles
from caloforge.sources.lab.hits import Hits, is_endcap
from caloforge.sources.lab.options import chosen
from caloforge.sources.lab.place import SCANNED, Placement
from caloforge.sources.part_reader import PartReader
from caloforge.store.damage import damage_errors

_SCAN_PART = 100
_ROUNDING = 1e-4
"""By how much float32 sums of hits and of their contributions may differ."""


class Edm4hepReader(PartReader):
    """An event is a shower: the hits of the chosen collections around the incident particle.

    Raises:
        ConfigError: no such collection, or the front face is not known.
        FormatError: something is missing in the file.
    """

    def __init__(
        self, events: EventFile, calorimeter: Calorimeter, options: Edm4hepOptions
    ) -> None:
        self._events = events
        self._options = options
        self._several = 0
        names = chosen(options, events.collections, events.path)
        self._collections = [HitCollection(events, name, options) for name in names]
        self._placement = Placement(
            events.path,
            calorimeter,
            options,
            barrel=not all(map(is_endcap, names)),
            endcap=any(map(is_endcap, names)),
            sample=self._sample(),
        )
        for item in self._collections:
            item.reset()  # the sample is not what is read
        super().__init__(events.path, calorimeter, self._origin(calorimeter, names), len(events))

    def _origin(self, calorimeter: Calorimeter, names: list[str]) -> Provenance:
        own = self._events.provenance
        path = str(self._events.path)
        parents = (Provenance.from_json(own, path).to_dict(),) if own else ()
        config = {
            **self._options.model_dump(mode="json", exclude_none=True),
            "collections": names,
            **self._placement.description(),
        }
        return Provenance(step="read", geometry=calorimeter.hash, config=config, parents=parents)

    @property
    def notes(self) -> list[str]:
        """What the user should know of the showers read so far, one sentence each."""
        notes = list(self._placement.notes)
        if self._placement.late:
            notes.append(
                f"{self.path}: {self._placement.late:.6g} MeV came after "
                f"{self._options.time_max:g} ns and is left out"
            )
        without = [item.name for item in self._collections if item.without_steps]
        if without:
            notes.append(
                f"{self.path}: {', '.join(without)} keep no contributions; their hits are put at "
                "the centre of their cell"
            )
        at_centre = sum(item.at_centre for item in self._collections)
        if at_centre:
            notes.append(
                f"{self.path}: {at_centre} contributions have no position of their own; they are "
                "put at the centre of their cell"
            )
        in_hits = sum(item.in_hits for item in self._collections)
        in_steps = sum(item.in_steps for item in self._collections)
        if abs(in_steps - in_hits) > _ROUNDING * in_hits:
            notes.append(
                f"{self.path}: the contributions, which are read, hold {in_steps:.6g} MeV, their "
                f"hits {in_hits:.6g} MeV"
            )
        if self._several:
            notes.append(
                f"{self.path}: {self._several} events have several incident particles; the hits "
                "of all are kept, around the one of the highest energy"
            )
        return notes

    def read(self, start: int, stop: int) -> Showers:
        """The showers of the events ``start:stop``."""
        with damage_errors(self.path):
            particles, several = read_particles(self._events, self._options, start, stop)
            hits = self._hits(start, stop)
        showers = self._placement.showers(hits, particles, start, self.tally, self.provenance)
        self._several += several if self._options.particle is None else 0
        return showers

    def _hits(self, start: int, stop: int) -> Hits:
        return Hits.concatenate([item.read(start, stop) for item in self._collections])

    def _sample(self) -> Iterator[Hits]:
        last = min(SCANNED, len(self._events))
        for start in range(0, last, _SCAN_PART):
            with damage_errors(self._events.path):
                yield self._hits(start, min(start + _SCAN_PART, last))

    def close(self) -> None:
        """Close the file."""
        self._events.close()
