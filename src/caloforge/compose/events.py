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
    """What was written: events and particles; particles that were left out, by PDG code."""

    path: Path
    events: int
    particles: int
    left_out: dict[int, int]
    energy_left_out: float


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
    taken, left_out, lost = _taken(team, particles)
    if not taken:
        raise ConfigError(
            f"none of the {len(particles)} particles is one that the models know, on its way to "
            f"the front face of {calorimeter.name}; check PDG codes, energies and directions"
        )
    energy = np.bincount(particles.event, particles.energy, particles.events)
    known = np.bincount([one.event for one in taken], [one.seen.energy for one in taken],
                        particles.events)  # fmt: skip
    provenance = Provenance(
        step="compose",
        geometry=calorimeter.hash,
        config={"models": [one.name for one in team.members]},
        seed=seed,
        inputs={**team.inputs, **(inputs or {})},
    )
    last = provenance if digitisation is None else described(provenance, digitisation, seed)
    events = np.flatnonzero(energy > 0)
    first_of = np.searchsorted([one.event for one in taken], np.arange(particles.events + 1))
    with StoreWriter(output, calorimeter, last) as writer:
        for start in range(0, len(events), AT_ONCE):
            some = events[start : start + AT_ONCE]
            low, high = first_of[some[0]], first_of[some[-1] + 1]
            made = team.deposits(taken[low:high], seed)
            incident = Incident({"energy": energy[some], "fast_energy": known[some]})
            rows = np.searchsorted(some, made.event)
            whole = Showers.from_hits(
                calorimeter, incident, rows, made.cell, made.energy, provenance
            )
            if digitisation is not None:
                whole = digitise(whole, digitisation, seed=seed, first=int(start))
            writer.append(whole)
            if progress is not None:
                progress(start + len(some), len(events))
    return Composition(Path(output), len(events), len(taken), left_out, lost)


def _taken(team: Team, particles: Particles) -> tuple[list[Taken], dict[int, int], float]:
    """Particles that models make; how many of which kind they do not, and their energy (MeV)."""
    taken: list[Taken] = []
    left_out: Counter[int] = Counter()
    lost, place, event_before = 0.0, 0, -1
    for number, arrival in enumerate(_arrivals(particles)):
        event = int(particles.event[number])
        place = 0 if event != event_before else place
        event_before = event
        found = None if arrival is None else team.sees(arrival)
        if found is None:
            left_out[int(particles.pdg[number])] += 1
            lost += float(particles.energy[number])
            continue
        taken.append(Taken(event, place, *found))
        place += 1
    return taken, dict(left_out), lost


def _arrivals(particles: Particles) -> list[Arrival | None]:
    """Where the particles reach the front face; None for those that never do."""
    across: NDArray[np.float64] = particles.direction
    there = (across[:, 2] > 1e-6) & (particles.energy > 0)
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
