"""Particles of events: from HepMC and LHE files through pyhepmc, or from a table.

All fly straight from where they start: the calorimeter's front face lies at z = 0, and the
particles come from negative z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Particles:
    """Particles (n,) of events.

    ``event`` rises from 0; ``pdg``; ``energy``: kinetic (MeV); ``start`` (n, 3) mm; ``direction``
    (n, 3) unit vectors; ``events``: how many events there are, empty ones included.
    """

    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    energy: Doubles
    start: Doubles
    direction: Doubles
    events: int

    def __len__(self) -> int:
        return len(self.event)


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
    try:
        found = {key: np.asarray(value, dtype=np.float64) for key, value in columns.items()}
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
    rows: list[tuple[int, int, float]] = []
    places: list[list[float]] = []
    events = 0
    try:
        with pyhepmc.open(path) as file:
            for event in file:
                to_mev = 1000.0 if event.momentum_unit == pyhepmc.Units.MomentumUnit.GEV else 1.0
                to_mm = 10.0 if event.length_unit == pyhepmc.Units.LengthUnit.CM else 1.0
                for particle in event.particles:
                    momentum, at = particle.momentum, particle.production_vertex
                    if particle.status != FINAL or momentum.length() == 0.0:
                        continue
                    mass = max(particle.generated_mass, 0.0)
                    rows.append((events, particle.pid, to_mev * (momentum.e - mass)))
                    where = at.position if at is not None else event.event_pos()
                    start = [to_mm * value for value in (where.x, where.y, where.z)]
                    places.append([*start, momentum.px, momentum.py, momentum.pz])
                events += 1
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({one_line(error)})") from None
    if not rows:
        raise FormatError(f"{path}: no final-state particles in {events} events")
    event_number, pdg, energy = (np.array(column) for column in zip(*rows, strict=True))
    table = np.array(places, dtype=np.float64)
    start, flight = table[:, :3] - np.array([0.0, 0.0, distance]), table[:, 3:]
    unit = flight / np.linalg.norm(flight, axis=1, keepdims=True)
    return Particles(event_number, pdg, np.maximum(energy, 0.0), start, unit, events)
