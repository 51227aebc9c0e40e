"""Showers from an engine, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ModelError, ShowerError
from caloforge.runtime.engine import Engine, SparseEngine, condition_of
from caloforge.runtime.noise import shower_noise
from caloforge.runtime.trained import warn_outside, with_impact
from caloforge.showers import Incident, Provenance, Showers


def shower_batches(
    engine: Engine,
    incident: Incident,
    *,
    seed: int = 0,
    batch_size: int = 128,
    first: int = 0,
    provenance: Provenance | None = None,
) -> Iterator[Showers]:
    """Generate one shower for every incident particle, ``batch_size`` at a time.

    Args:
        engine: runs the model.
        incident: the particles; row k is shower number ``first + k``. Impact points that the model
            wants and that are not given are spread over its trained range.
        seed: with the shower's number it fixes the noise, whatever the batch size.
        batch_size: showers per call of the engine; bounds the memory.
        first: number of the first shower.
        provenance: given to every batch.

    Warns:
        CaloforgeWarning: particles outside the trained range.

    Raises:
        ModelError: the model made something that is not a shower.
    """
    latent = engine.description["latent"]
    incident = with_impact(engine, incident, seed, first)
    warn_outside(engine, incident)
    for start in range(0, len(incident), batch_size):
        stop = min(start + batch_size, len(incident))
        part = incident.take(slice(start, stop))
        noise = shower_noise(
            seed, first + start, first + stop, latent["size"], latent["distribution"]
        )
        yield showers_of(engine, part, noise, provenance, number=first + start)


def showers_of(
    engine: Engine,
    incident: Incident,
    noise: NDArray[np.float32],
    provenance: Provenance | None = None,
    *,
    number: int = 0,
) -> Showers:
    """One call of the engine: showers for particles and their noise (B, latent).

    Args:
        number: of the first shower, for the message.

    Raises:
        ModelError: the model made something that is not a shower.
    """
    condition = condition_of(engine, incident)
    try:
        if isinstance(engine, SparseEngine):
            hits = engine.hits(condition, noise)
            return Showers(engine.calorimeter, incident, *hits, provenance)
        energy = engine.run(condition, noise)
        return Showers.from_dense(engine.calorimeter, incident, energy, provenance)
    except ShowerError as error:
        raise ModelError(
            f"engine '{engine.name}' made an impossible shower (of those from number {number}): "
            f"{error}; the model is damaged, badly trained, or asked far beyond its training"
        ) from error
