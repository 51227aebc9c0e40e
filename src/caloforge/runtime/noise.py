"""Noise that belongs to a shower's number, not to a batch.

Counter-based random numbers (Philox 4x64-10: J. Salmon et al., SC'11, "Parallel random numbers: as
easy as 1, 2, 3"): shower k of seed s always sees the same numbers, in whatever batch, process or
order it is made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

LATENT_STREAM = 0
"""Stream of the models' latent noise."""

INCIDENT_STREAM = 1
"""Stream of the incident particles' random energies and angles."""

SIMULATION_STREAM = 2
"""Stream of the simulators."""

IMPACT_STREAM = 3
"""Stream of the incident particles' impact points."""

DIGITISATION_STREAM = 4
"""Stream of the electronics' noise."""

FAST_STREAM = 5
"""Streams from here on: of the particles that a model takes over in a simulation, one for each
place in the event."""

_WORDS = 4  # 64-bit words per Philox counter value


def uniform_noise(
    seed: int, start: int, stop: int, size: int, stream: int = LATENT_STREAM
) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) for the showers ``start:stop``, shape (stop - start, size)."""
    blocks = -(-size // _WORDS)
    key = (seed % 2**64) | (stream << 64)
    generator = np.random.Philox(key=key, counter=start * blocks)
    raw = generator.random_raw((stop - start) * blocks * _WORDS)
    words = np.asarray(raw, dtype=np.uint64).reshape(stop - start, blocks * _WORDS)[:, :size]
    return np.asarray(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def normal_noise(
    seed: int, start: int, stop: int, size: int, stream: int = LATENT_STREAM
) -> NDArray[np.float64]:
    """Standard normal numbers for the showers ``start:stop``, shape (stop - start, size)."""
    return np.asarray(ndtri(uniform_noise(seed, start, stop, size, stream)), dtype=np.float64)


def shower_noise(
    seed: int, start: int, stop: int, size: int, distribution: str
) -> NDArray[np.float32]:
    """The latent noise (stop - start, size) of a model, ``normal`` or ``uniform``."""
    draw = normal_noise if distribution == "normal" else uniform_noise
    return draw(seed, start, stop, size).astype(np.float32)


def event_noise(
    seed: int,
    event: NDArray[np.int64],
    place: NDArray[np.int64],
    size: int,
    distribution: str,
) -> NDArray[np.float32]:
    """The latent noise (n, size) of particles in events, the same however events are grouped.

    Args:
        seed: of the simulation.
        event: (n,) numbers of the events.
        place: (n,) which of the event's particles it is, from 0.
        size, distribution: see :func:`shower_noise`.
    """
    draw = normal_noise if distribution == "normal" else uniform_noise
    noise = np.empty((len(event), size), np.float32)
    for k in np.unique(place):
        rows = np.flatnonzero(place == k)
        found, which = np.unique(event[rows], return_inverse=True)
        runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)  # gaps are not drawn
        stream = FAST_STREAM + int(k)
        block = [draw(seed, int(run[0]), int(run[-1]) + 1, size, stream) for run in runs]
        noise[rows] = np.concatenate(block)[which]
    return noise
