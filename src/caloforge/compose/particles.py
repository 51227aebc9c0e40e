"""Particles of events: from HepMC and LHE files through pyhepmc, or from a table.

All fly straight from where they start: the calorimeter's front face lies at z = 0, and the
particles come from negative z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.errors import ConfigError, FormatError, one_line
from caloforge.showers import Incident

TABLES = (".csv", ".parquet")
GENERATORS = (".hepmc", ".hepmc2", ".hepmc3", ".lhe")
FINAL = 1
"""Status of particles that leave the generator."""

KNOWN = ("event", "pdg", "energy", "theta", "phi", "x", "y", "z")
"""Columns of a table; others are left alone."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Particles:
    """Particles (n,) of events.

    ``event`` rises from 0; ``pdg``; ``energy``: kinetic (MeV); ``start`` (n, 3) mm; ``direction``
    (n, 3) unit vectors; ``events``: how many events there are, empty ones included;
    ``born_there``: particles do not exist before ``start``, else it is any point of their line.
    """

    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    energy: Doubles
    start: Doubles
    direction: Doubles
    events: int
    born_there: bool = False

    def __len__(self) -> int:
        return len(self.event)

    def of_events(self, first: int, last: int) -> Particles:
        """Those of the events from one number to another, the last one too."""
        begin, end = np.searchsorted(self.event, [first, last + 1])
        some = slice(int(begin), int(end))
        return replace(
            self,
            event=self.event[some],
            pdg=self.pdg[some],
            energy=self.energy[some],
            start=self.start[some],
            direction=self.direction[some],
        )


def read_particles(path: str | Path, *, distance: float = 0.0) -> Particles:
    """Particles of a file.

    Args:
        path: ``.hepmc``, ``.hepmc3``, ``.lhe`` (final-state particles), ``.csv`` or ``.parquet``
            (see :func:`from_table`).
        distance: mm from the origin of a generator's file to the front face.

    Raises:
        ConfigError: pyhepmc is not installed.
        FormatError: missing, empty or damaged, or not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file; check the path")
    if path.suffix in TABLES:
        return from_table(_table(path), str(path))
    if path.suffix in GENERATORS:
        return _generated(path, distance)
    raise FormatError(f"{path}: give one of {', '.join((*GENERATORS, *TABLES))}")


def from_table(columns: Mapping[str, Any], name: str = "table") -> Particles:
    """Particles from columns.

    Args:
        columns: ``event`` (0, 1, ... rising), ``pdg``, ``energy`` (GeV, kinetic), and where they
            are known ``theta``, ``phi`` (degrees; 90 and 0 are the normal), ``x``, ``y``, ``z``
            (mm, a point on the line; 0).
        name: for messages.

    Raises:
        FormatError: a column is missing, or holds impossible values.
    """
    missing = [column for column in ("event", "pdg", "energy") if column not in columns]
    if missing:
        raise FormatError(f"{name}: no column '{missing[0]}', only {', '.join(columns)}")
    known = [column for column in KNOWN if column in columns]
    try:
        found = {column: np.asarray(columns[column], dtype=np.float64) for column in known}
    except (TypeError, ValueError) as error:
        raise FormatError(f"{name}: not numbers ({one_line(error)})") from None
    n = len(found["event"])
    event = found["event"]
    if n == 0:
        raise FormatError(f"{name}: no particles")
    bad = [key for key, value in found.items() if len(value) != n or not np.isfinite(value).all()]
    if bad:
        raise FormatError(f"{name}: column '{bad[0]}' has gaps, NaN or infinite values")
    if np.any(event != np.round(event)) or np.any(np.diff(event) < 0) or event[0] < 0:
        raise FormatError(f"{name}: column 'event' must count from 0 and never fall")
    if np.any(found["pdg"] != np.round(found["pdg"])):
        raise FormatError(f"{name}: column 'pdg' must hold whole numbers, PDG codes")
    if np.any(found["energy"] <= 0):
        raise FormatError(f"{name}: column 'energy' must be positive (GeV)")
    beam = {"energy": found["energy"]}
    beam |= {key: np.deg2rad(found[key]) for key in ("theta", "phi") if key in found}
    start = np.column_stack([found.get(key, np.zeros(n)) for key in ("x", "y", "z")])
    return Particles(
        event.astype(np.int64),
        found["pdg"].astype(np.int64),
        1000.0 * found["energy"],
        start,
        np.asarray(directions(Incident(beam))),
        int(event[-1]) + 1,
    )


def _table(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"{path}: not a table ({one_line(error)})") from None
    return {name: table[name].to_numpy() for name in table.column_names}


def _generated(path: Path, distance: float) -> Particles:
    try:
        import pyhepmc
    except ImportError:
        raise ConfigError(
            f"{path}: reading it needs pyhepmc; run: pip install 'caloforge[hepmc]'"
        ) from None
    parts: list[Doubles] = []
    try:
        with pyhepmc.open(path) as file:
            parts.extend(_of_event(event) for event in file)
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({one_line(error)})") from None
    table = np.concatenate([np.zeros((0, 8)), *parts])
    if not len(table):
        raise FormatError(f"{path}: no final-state particles in {len(parts)} events")
    pdg, energy, start, flight = table[:, 0], table[:, 1], table[:, 2:5], table[:, 5:]
    return Particles(
        np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        pdg.astype(np.int64),
        np.maximum(energy, 0.0),
        start - np.array([0.0, 0.0, distance]),
        flight / np.linalg.norm(flight, axis=1, keepdims=True),
        len(parts),
        born_there=True,
    )


def _of_event(event: Any) -> Doubles:
    """Final-state particles (n, 8): PDG code, kinetic energy (MeV), vertex (mm), momentum."""
    from pyhepmc import Units

    to_mev = 1000.0 if event.momentum_unit == Units.MomentumUnit.GEV else 1.0
    to_mm = 10.0 if event.length_unit == Units.LengthUnit.CM else 1.0
    rows = []
    for particle in event.particles:
        momentum, at = particle.momentum, particle.production_vertex
        if particle.status != FINAL or momentum.length() == 0.0:
            continue
        mass = max(particle.generated_mass, 0.0)
        where = at.position if at is not None else event.event_pos()
        start = (to_mm * where.x, to_mm * where.y, to_mm * where.z)
        flight = (momentum.px, momentum.py, momentum.pz)
        rows.append((particle.pid, to_mev * (momentum.e - mass), *start, *flight))
    return np.array(rows, dtype=np.float64).reshape(-1, 8)
