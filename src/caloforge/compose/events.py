"""Whole events: the sum of the showers of their particles, since deposits add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.compose.digitisation import Digitisation, described, digitise
from caloforge.compose.particles import Particles
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.simulate.fast import FastChoice, Team
from caloforge.simulate.fast.takeover import Arrival
from caloforge.simulate.fast.team import Taken
from caloforge.store import StoreWriter

AT_ONCE = 64
"""Events that are made together; bounds the memory."""


@dataclass(frozen=True)
class Composition:
    """What was written: events and particles; what was left out.

    ``left_out``: particles by PDG code, with ``energy_left_out`` MeV in all; ``empty``: events
    without particles, which have no row.
    """

    path: Path
    events: int
    particles: int
    left_out: dict[int, int]
    energy_left_out: float
    empty: int


def compose(
    calorimeter: Calorimeter,
    models: Sequence[FastChoice],
    particles: Particles,
    output: str | Path,
    *,
    seed: int = 0,
    digitisation: Digitisation | None = None,
    inputs: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Composition:
    """Write an event for every event of the particles: the sum of its showers.

    Args:
        calorimeter: where the events happen.
        models: the first that knows a particle makes its shower.
        particles: of all events.
        output: store file to write; the incident energy of an event is that of all its particles,
            ``fast_energy`` that of those that models know.
        seed: same seed, same events.
        digitisation: applied once to every event.
        inputs: digests of the files that the particles came from.
        progress: called with (events done, events in all).

    Raises:
        ConfigError: no model, or no particle that one knows.
        GeometryError, ModelError, OutputError: see their messages.
    """
    if not models:
        raise ConfigError("no model; give --fast MODEL, once for every kind of particle")
    team = Team(models, calorimeter)
    numbers = np.unique(particles.event[particles.energy > 0])
    provenance = Provenance(
        step="compose",
        geometry=calorimeter.hash,
        config={"models": [one.name for one in team.members]},
        seed=seed,
        inputs={**team.inputs, **(inputs or {})},
    )
    last = provenance if digitisation is None else described(provenance, digitisation, seed)
    count, left_out, lost = 0, Counter[int](), 0.0
    with StoreWriter(output, calorimeter, last) as writer:
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            own = particles.of_events(int(some[0]), int(some[-1]))
            taken, out = _taken(team, own)
            count += len(taken)
            left_out.update(own.pdg[out].tolist())
            lost += float(own.energy[out].sum())
            whole = _events(team, some, own, taken, seed, provenance)
            if digitisation is not None:
                whole = digitise(whole, digitisation, seed=seed, first=start)
            writer.append(whole)
            if progress is not None:
                progress(start + len(some), len(numbers))
        if not count:
            raise ConfigError(
                f"none of the {len(particles)} particles is one that the models know, on its way "
                f"to the front face of {calorimeter.name}; check PDG codes, energies and directions"
            )
    empty = particles.events - len(numbers)
    return Composition(Path(output), len(numbers), count, dict(left_out), lost, empty)


def _events(
    team: Team,
    numbers: NDArray[np.int64],
    particles: Particles,
    taken: Sequence[Taken],
    seed: int,
    provenance: Provenance,
) -> Showers:
    """The deposits of some events: their numbers, particles, and those that models take."""
    rows = np.searchsorted(numbers, particles.event)
    energy = np.bincount(rows, particles.energy, len(numbers))
    rows = np.searchsorted(numbers, [one.event for one in taken])
    known = np.bincount(rows, [one.seen.energy for one in taken], len(numbers))
    made = team.deposits(taken, seed)
    return Showers.from_hits(
        team.detector,
        Incident({"energy": energy, "fast_energy": known}),
        np.searchsorted(numbers, made.event),
        made.cell,
        made.energy,
        provenance,
    )


def _taken(team: Team, particles: Particles) -> tuple[list[Taken], list[int]]:
    """Particles that models make; which ones they do not."""
    taken: list[Taken] = []
    out: list[int] = []
    place, event_before = 0, -1
    for number, arrival in enumerate(_arrivals(particles)):
        event = int(particles.event[number])
        place = 0 if event != event_before else place
        event_before = event
        found = None if arrival is None else team.sees(arrival)
        if found is None:
            out.append(number)
            continue
        taken.append(Taken(event, place, *found))
        place += 1
    return taken, out


def _arrivals(particles: Particles) -> list[Arrival | None]:
    """Where the particles reach the front face; None for those that never do."""
    across: NDArray[np.float64] = particles.direction
    there = (across[:, 2] > 1e-6) & (particles.energy > 0)
    if particles.born_there:
        there &= particles.start[:, 2] <= 0.0
    safe = np.where(there, across[:, 2], 1.0)
    at_front = particles.start - (particles.start[:, 2] / safe)[:, None] * across
    return [
        Arrival(pdg, energy, x, y, (ux, uy, uz)) if reaches else None
        for pdg, energy, (x, y, _), (ux, uy, uz), reaches in zip(
            particles.pdg.tolist(),
            particles.energy.tolist(),
            at_front.tolist(),
            across.tolist(),
            there.tolist(),
            strict=True,
        )
    ]
