"""Which cells of a layer are hit: independent odds, then exactly the wanted number of hits.

The cells are independent given the layer's numbers (Bernoulli). Missing hits are added with the
probability p of their cell, surplus ones removed with 1 - p.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Flags, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.random import find, uniform

IMPOSSIBLE = -14.0
"""Logit below which a cell is never hit."""

TRIES = 1000
"""Draws of a missing hit that may find a cell that is hit already."""


@compiled
def draw_hits(
    logits: Array, wanted: int, used: Flags, chance: Doubles, rising: Doubles, words: Words
) -> int:
    """Mark the hit cells of one layer in ``used``; return how many there are.

    Args:
        logits: (cells,) of a hit.
        wanted: number of hits.
        used: (cells,) result: 1 where hit.
        chance: (cells,) result: probability of a hit.
        rising: (cells,) result: running sum of ``chance``.
        words: (2,) random state.
    """
    cells = logits.shape[0]
    total = 0.0
    found = 0
    for cell in range(cells):
        used[cell] = 0
        chance[cell] = 0.0
        logit = logits[cell]
        if logit > IMPOSSIBLE:
            chance[cell] = 1.0 / (1.0 + np.exp(-np.float64(logit)))
            total += chance[cell]
            if uniform(words) < chance[cell]:
                used[cell] = 1
                found += 1
        rising[cell] = total
    found = _add(wanted, found, used, chance, rising, words)
    return _remove(wanted, found, used, chance, words)


@inlined
def _add(
    wanted: int, found: int, used: Flags, chance: Doubles, rising: Doubles, words: Words
) -> int:
    """Add hits by the probability of their cells, until their number is right.

    Where that takes too long, nearly all cells are hit: the likeliest of the others follow.
    """
    total = rising[-1]
    tries = 0
    while found < wanted and tries < TRIES and total > 0.0:
        cell = find(rising, uniform(words) * total)
        tries += 1
        if used[cell] == 0:
            used[cell] = 1
            found += 1
    while found < wanted:
        likeliest = -1
        for cell in range(used.shape[0]):
            if used[cell] == 1 or chance[cell] == 0.0:
                continue
            if likeliest < 0 or chance[cell] > chance[likeliest]:
                likeliest = cell
        if likeliest < 0:
            return found
        used[likeliest] = 1
        found += 1
    return found


@inlined
def _remove(wanted: int, found: int, used: Flags, chance: Doubles, words: Words) -> int:
    """Remove hits by one minus the probability of their cells, until their number is right."""
    while found > wanted:
        total = 0.0
        for cell in range(used.shape[0]):
            if used[cell] == 1:
                total += 1.0 - chance[cell] + 1e-12
        left = uniform(words) * total
        chosen = -1
        for cell in range(used.shape[0]):
            if used[cell] == 1:
                left -= 1.0 - chance[cell] + 1e-12
                chosen = cell
                if left <= 0.0:
                    break
        used[chosen] = 0
        found -= 1
    return found
