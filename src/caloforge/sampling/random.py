"""Random numbers of one shower inside compiled loops: xorshift128+ seeded from the shower's noise.

S. Vigna, J. Comput. Appl. Math. 315 (2017) 175; the seeds are spread by splitmix64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Doubles, Words
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
def _spread(value: np.uint64) -> np.uint64:
    """One splitmix64 step: neighbouring values become unlike."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inlined
def seed(state: Words, key: Words, stream: int) -> None:
    """Start the generator ``state`` (2,) of one stream of the shower ``key`` (2,)."""
    step = np.uint64(stream + 1) * np.uint64(0x9E3779B97F4A7C15)
    state[0] = _spread(key[0] + step) | np.uint64(1)
    state[1] = _spread(key[1] ^ _spread(state[0]))


@inlined
def uniform(state: Words) -> float:
    """The next number in [0, 1)."""
    a = state[0]
    b = state[1]
    state[0] = b
    a ^= a << np.uint64(23)
    a ^= a >> np.uint64(17)
    a ^= b ^ (b >> np.uint64(26))
    state[1] = a
    return np.float64((a + b) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inlined
def normal(state: Words) -> float:
    """The next standard normal number (Box and Muller)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(state)))
    return float(radius * np.cos(2.0 * np.pi * uniform(state)))


@inlined
def find(rising: Doubles, value: float) -> int:
    """The first place where the running sum ``rising`` exceeds ``value``."""
    low = 0
    high = rising.shape[0] - 1
    while low < high:
        middle = (low + high) >> 1
        if rising[middle] > value:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def start(keys: Words, words: Words) -> None:
    """Start stream 0 of every shower: keys (B, 2) -> states (B, 2)."""
    for row in range(keys.shape[0]):
        seed(words[row], keys[row], 0)
