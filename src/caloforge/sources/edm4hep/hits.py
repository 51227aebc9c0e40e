"""One SimCalorimeterHit collection: its cells, or the steps that contributed to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.sources.cellid import CellId
from caloforge.sources.edm4hep.events import EventFile
from caloforge.sources.edm4hep.options import Edm4hepOptions
from caloforge.sources.lab.hits import Floats, Hits, Whole, is_endcap
from caloforge.sources.lab.options import DEPTH

GEV = 1000.0
XYZ = ("x", "y", "z")

Table = dict[str, NDArray[Any]]


class HitCollection:
    """Reads the hits of a collection, as the options say.

    Raises:
        FormatError: something that the options ask for is not in the file.
    """

    def __init__(self, events: EventFile, name: str, options: Edm4hepOptions) -> None:
        self.name = name
        self._events = events
        self._options = options
        self._endcap = is_endcap(name)
        self.reset()
        self._encoding = self._find_encoding() if options.layers != DEPTH else None
        self._links = f"_{name}_contributions"
        if not events.has(f"{self._links}.index"):
            self._links = f"{name}#0"  # of podio before 0.99
        self._steps = options.contributions and self._has_steps()
        self.without_steps = options.contributions and not self._steps
        if options.time_max is not None and not self._has_steps():
            raise FormatError(
                f"{events.path}: '{name}' keeps no contributions, so no times; "
                "leave the option time_max out"
            )

    def reset(self) -> None:
        """Begin to count anew."""
        self.at_centre = 0
        """Contributions without a position, put at the centre of their cell."""
        self.in_hits = self.in_steps = 0.0
        """MeV of the hits that have contributions, and of these contributions."""

    def _has_steps(self) -> bool:
        names = (f"{self.name}.contributions_begin", f"{self._links}.index")
        return self._events.has(*names)

    def _find_encoding(self) -> CellId:
        where = f"{self._events.path}: encoding of '{self.name}'"
        text = self._options.encoding or self._events.encoding(self.name)
        if text is None:
            raise FormatError(f"{where} is not in the file; give it with --option encoding=TEXT")
        encoding = CellId.parse(text, where)
        if self._options.layers not in encoding.names():
            raise FormatError(
                f"{where}: no field '{self._options.layers}' in {text}; "
                "choose another one with --option layers=FIELD"
            )
        return encoding

    def read(self, start: int, stop: int) -> Hits:
        """The hits of the events ``start:stop``."""
        wanted = self._steps or self._options.time_max is not None
        fields = ("cellID", "energy", *(f"position.{a}" for a in XYZ))
        if wanted:
            fields += ("contributions_begin", "contributions_end")
        sizes, table = self._events.table(self.name, fields, start, stop)
        event = np.repeat(np.arange(stop - start), sizes)
        position = _points(table, "position")
        energy = np.asarray(table["energy"], dtype=np.float64) * GEV
        self._check(table["cellID"], position, energy, start)
        layer = None
        if self._encoding is not None:
            layer = self._encoding.decode(table["cellID"], self._options.layers)
        late = 0.0
        if wanted and len(event):
            hit, position, energy, late = self._contributions(
                event, table, position, energy, (start, stop)
            )
            event = event[hit]
            layer = layer if layer is None else layer[hit]
        return Hits(event, position, energy, np.full(len(event), self._endcap), layer, late)

    def _check(self, cell_id: NDArray[Any], position: Floats, energy: Floats, start: int) -> None:
        if cell_id.dtype.kind not in "iu":
            raise FormatError(
                f"{self._events.path}: '{self.name}.cellID' holds {cell_id.dtype}, not whole "
                "numbers; make the file again"
            )
        good = np.isfinite(energy) & (energy >= 0) & np.isfinite(position).all(axis=1)
        if not good.all():
            hit = int(np.flatnonzero(~good)[0])
            raise ShowerError(
                f"{self._events.path}: '{self.name}' has a hit of {energy[hit]} MeV at "
                f"{position[hit].tolist()} mm after event {start}; energies and positions must be "
                "finite, energies not negative"
            )

    def _contributions(
        self, event: Whole, table: Table, centre: Floats, energy: Floats, rows: tuple[int, int]
    ) -> tuple[Whole, Floats, Floats, float]:
        """The steps in place of the hits: number of the hit, position, energy; and what was late.

        A hit without contributions stays as it is.
        """
        links, link = self._events.table(self._links, ("index", "collectionID"), *rows)
        name = self._target(link["collectionID"])
        fields = ("energy", "time", *(f"stepPosition.{a}" for a in XYZ))
        steps, step = self._events.table(name, fields, *rows)
        begin = table["contributions_begin"].astype(np.int64)
        count = table["contributions_end"].astype(np.int64) - begin
        if np.any(count < 0) or np.any(begin + count > links[event]):
            raise FormatError(
                f"{self._events.path}: '{self.name}' names contributions that do not exist; "
                "make the file again"
            )
        owner = np.repeat(np.arange(len(event)), count)
        inner = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        place = _starts(links)[event[owner]] + begin[owner] + inner
        index = link["index"].astype(np.int64)[place]
        if np.any(index < 0) or np.any(index >= steps[event[owner]]):
            raise FormatError(
                f"{self._events.path}: '{self._links}' points outside '{name}'; make the file again"
            )
        index += _starts(steps)[event[owner]]
        value = step["energy"].astype(np.float64)[index] * GEV
        self.in_hits += float(energy[count > 0].sum())
        self.in_steps += float(value.sum())
        position = centre[owner]
        if self._options.contributions:
            at = _points(step, "stepPosition")[index]
            kept = np.any(at != 0, axis=1)  # DD4hep leaves zeros where it does not keep the step
            position[kept] = at[kept]
            self.at_centre += int(np.count_nonzero(~kept))
        late = self._late(step["time"][index], rows[0])
        whole = np.flatnonzero(count == 0)
        return (
            np.concatenate([owner[~late], whole]),
            np.concatenate([position[~late], centre[whole]]),
            np.concatenate([value[~late], energy[whole]]),
            float(value[late].sum()),
        )

    def _late(self, time: NDArray[Any], start: int) -> NDArray[np.bool_]:
        if self._options.time_max is None:
            return np.zeros(len(time), dtype=bool)
        if not np.isfinite(time).all():
            raise ShowerError(
                f"{self._events.path}: '{self.name}' has a contribution without a finite time "
                f"after event {start}; leave the option time_max out"
            )
        return np.asarray(time > self._options.time_max)

    def _target(self, numbers: NDArray[Any]) -> str:
        """The collection that the contributions are in."""
        found = np.unique(numbers)
        if len(found) > 1:
            raise FormatError(
                f"{self._events.path}: the contributions of '{self.name}' are spread over several "
                "collections, which is not read; leave the options contributions and time_max out"
            )
        known = self._events.collection_names()
        return known.get(int(found[0]) if len(found) else -1, f"{self.name}Contributions")


def _points(table: Table, name: str) -> Floats:
    return np.column_stack([np.asarray(table[f"{name}.{a}"], dtype=np.float64) for a in XYZ])


def _starts(sizes: Whole) -> Whole:
    return np.asarray(np.cumsum(sizes) - sizes)
