"""The incident particle of every event, from an MCParticle collection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.sources.edm4hep.events import EventFile
from caloforge.sources.edm4hep.hits import GEV, XYZ
from caloforge.sources.edm4hep.options import Edm4hepOptions
from caloforge.sources.lab.hits import Particles, Whole

FINAL = 1
"""generatorStatus of a particle that the generator handed to the simulation."""

_FIELDS = (
    "PDG",
    "generatorStatus",
    "mass",
    *(f"vertex.{a}" for a in XYZ),
    *(f"momentum.{a}" for a in XYZ),
)


def read_particles(
    events: EventFile, options: Edm4hepOptions, start: int, stop: int
) -> tuple[Particles, int]:
    """The incident particles of the events ``start:stop``, and how many of these have several.

    Raises:
        FormatError: the collection or a field of it is missing.
        ShowerError: an event has no such particle.
    """
    sizes, table = events.table(options.particle_collection, _FIELDS, start, stop)
    momentum = np.column_stack([table[f"momentum.{a}"].astype(np.float64) for a in XYZ])
    mass = table["mass"].astype(np.float64)
    final = table["generatorStatus"] == FINAL
    event = np.repeat(np.arange(len(sizes)), sizes)
    if options.particle is None:
        energy = np.sqrt(np.sum(momentum**2, axis=1) + mass**2)
        row = _highest(event, energy, final, len(sizes))
        what = f"no particle with generatorStatus {FINAL}"
    else:
        row = np.where(sizes > options.particle, np.cumsum(sizes) - sizes + options.particle, -1)
        what = f"no particle number {options.particle}"
    if np.any(row < 0):
        number = start + int(np.flatnonzero(row < 0)[0])
        raise ShowerError(
            f"{events.path}: event {number} has {what} in '{options.particle_collection}'; "
            "choose the incident particle with --option particle=NUMBER"
        )
    vertex = np.column_stack([table[f"vertex.{a}"].astype(np.float64) for a in XYZ])
    several = np.bincount(event[final], minlength=len(sizes)) > 1
    chosen = Particles(vertex[row], momentum[row] * GEV, mass[row] * GEV, table["PDG"][row])
    return chosen, int(several.sum())


def _highest(event: Whole, energy: NDArray[Any], allowed: NDArray[np.bool_], n: int) -> Whole:
    """The row of the highest energy in each of ``n`` events (the first of equals); -1 if none."""
    rows = np.flatnonzero(allowed)
    order = rows[np.lexsort((-rows, energy[rows], event[rows]))]
    best = np.full(n, -1, dtype=np.int64)
    best[event[order]] = order  # the last one of an event stays
    return best
