"""Random numbers of one shower inside compiled loops, seeded from the shower's noise.

The generator is splitmix64 with a step for every stream (G. Steele, D. Lea, C. Flood, OOPSLA 2014):
a number goes up by the step and its bits are mixed. Drawing does not wait for the draw before, and
a loop can mix many numbers at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Words
from caloforge.sampling.compiled import compiled, inlined

KEY_SIZE = 4
"""Uniform numbers of noise that make up the key of a shower: 24 bits of each count."""

_BITS = 2.0**24


def keys_of(noise: NDArray[np.floating[Any]]) -> Words:
    """Keys (B, 2) of the showers with this uniform noise (B, 4)."""
    whole = (np.asarray(noise, dtype=np.float64) * _BITS).astype(np.uint64)
    high, low = whole[:, 0::2], whole[:, 1::2]
    return np.ascontiguousarray((high << np.uint64(24)) | low)


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """Neighbouring values become unlike."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inlined
def seed(state: Words, key: Words, stream: int) -> None:
    """Start the generator ``state`` (2,) of one stream of the shower ``key`` (2,).

    ``state`` is the number that goes up, and its odd step.
    """
    step = np.uint64(stream + 1) * np.uint64(0x9E3779B97F4A7C15)
    state[0] = mixed(key[0] + step)
    state[1] = mixed(key[1] ^ mixed(state[0])) | np.uint64(1)


@inlined
def bits(state: Words) -> np.uint64:
    """The next 64 random bits."""
    state[0] += state[1]
    return mixed(state[0])


@inlined
def uniform(state: Words) -> float:
    """The next number in [0, 1)."""
    return np.float64(bits(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inlined
def upper(word: np.uint64) -> np.uint64:
    """The upper half of 64 bits."""
    return word >> np.uint64(32)


@inlined
def lower(word: np.uint64) -> np.uint64:
    """The lower half of 64 bits."""
    return word & np.uint64(0xFFFFFFFF)


@inlined
def one_of(half: np.uint64, number: int) -> np.uint64:
    """One of 0 .. number - 1, from 32 random bits."""
    return (half * np.uint64(number)) >> np.uint64(32)


@inlined
def share(half: np.uint64) -> np.float32:
    """32 random bits as a number in [0, 1]."""
    return np.float32(np.int64(half)) * np.float32(1.0 / 4294967296.0)


@inlined
def normal(state: Words) -> float:
    """The next standard normal number (Box and Muller)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(state)))
    return float(radius * np.cos(2.0 * np.pi * uniform(state)))


@compiled
def start(keys: Words, words: Words) -> None:
    """Start stream 0 of every shower: keys (B, 2) -> states (B, 2)."""
    for row in range(keys.shape[0]):
        seed(words[row], keys[row], 0)
