"""Which cells of a layer are hit: a Markov field with exactly the wanted number of hits.

The field is that of :mod:`caloforge.models.layered.field`: a cell has odds of its own, which grow
by ``1 + pull pull'`` for every hit that shares a side with it. A first draw goes through the cells
once, each given those before it; then hits are added or removed until their number is right. What
is still wrong the moves of :mod:`.moves` mend.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Flags, Integers, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.random import find, uniform

TRIES = 1000
"""Draws of a missing hit that may find a cell that is hit already."""

SIDES = 4

LEAST_CHANCE = 1e-30
"""Cells with less do not exist."""


class Sites(NamedTuple):
    """The cells of one layer while its hits are drawn; arrays (cells,).

    ``odds`` of a hit without neighbours; ``pull`` of its couplings; ``chance`` = odds / (1 + odds)
    and ``rising``, its running sum; ``used``: 1 where hit; ``boost``: by how much the hits beside
    the cell raise its odds; ``touching``: how many these are.
    """

    odds: Doubles
    pull: Doubles
    chance: Doubles
    rising: Doubles
    boost: Doubles
    used: Flags
    touching: Flags


@compiled
def empty_sites(cells: int) -> Sites:
    """Room for a layer of ``cells`` cells."""
    return Sites(
        np.empty(cells), np.empty(cells), np.empty(cells), np.empty(cells), np.empty(cells),
        np.empty(cells, dtype=np.uint8), np.empty(cells, dtype=np.uint8),
    )  # fmt: skip


@inlined
def look(sites: Sites, logits: Array, spill: Array) -> None:
    """Begin without hits, from the logits (cells,) and the roots of the couplings (cells,).

    Spends the logits.
    """
    odds, pull, chance, boost = sites.odds, sites.pull, sites.chance, sites.boost
    cells = logits.shape[0]
    for cell in range(cells):  # short loops: the compiler does many cells at once
        logits[cell] = exp(np.float32(0.5) * logits[cell])
    for cell in range(cells):
        pull[cell] = np.float64(spill[cell]) / np.float64(logits[cell])
    for cell in range(cells):
        odds[cell] = np.float64(logits[cell]) * np.float64(logits[cell])
    for cell in range(cells):
        chance[cell] = odds[cell] / (1.0 + odds[cell])
    boost[:] = 1.0
    sites.used[:] = 0
    sites.touching[:] = 0
    total = 0.0
    for cell in range(cells):
        total += sites.chance[cell]
        sites.rising[cell] = total


@inlined
def put(sites: Sites, cell: int, beside: Integers) -> None:
    """Hit a cell; ``beside`` (cells, SIDES)."""
    sites.used[cell] = 1
    for side in range(SIDES):
        other = beside[cell, side]
        if other >= 0:
            sites.boost[other] *= 1.0 + sites.pull[cell] * sites.pull[other]
            sites.touching[other] += 1


@inlined
def take(sites: Sites, cell: int, beside: Integers) -> None:
    """Undo :func:`put`."""
    sites.used[cell] = 0
    for side in range(SIDES):
        other = beside[cell, side]
        if other >= 0:
            sites.boost[other] /= 1.0 + sites.pull[cell] * sites.pull[other]
            sites.touching[other] -= 1


@compiled
def draw_hits(sites: Sites, wanted: int, beside: Integers, hit: Integers, words: Words) -> int:
    """Draw the hits of one layer, see :func:`look`; return how many there are.

    Args:
        sites: the cells, without hits.
        wanted: number of hits; there are fewer only where too few cells can be hit.
        beside: (cells, SIDES) cells that share a side, or -1.
        hit: (cells,) result: the cells that are hit come first.
        words: (2,) random state.
    """
    found = 0
    for cell in range(sites.odds.shape[0]):
        odds = sites.odds[cell] * sites.boost[cell]
        if uniform(words) * (1.0 + odds) < odds:
            put(sites, cell, beside)
            hit[found] = cell
            found += 1
    found = _add(sites, wanted, found, beside, hit, words)
    return _remove(sites, wanted, found, beside, hit, words)


@inlined
def _add(
    sites: Sites, wanted: int, found: int, beside: Integers, hit: Integers, words: Words
) -> int:
    """Add hits by the chance of their cells, until their number is right.

    Where that takes too long, nearly all cells are hit: the likeliest of the others follow.
    """
    total = sites.rising[-1]
    tries = 0
    while found < wanted and tries < TRIES and total > 0.0:
        cell = find(sites.rising, uniform(words) * total)
        tries += 1
        if sites.used[cell] == 0:
            put(sites, cell, beside)
            hit[found] = cell
            found += 1
    while found < wanted:
        likeliest = -1
        for cell in range(sites.used.shape[0]):
            if sites.used[cell] == 1 or sites.chance[cell] < LEAST_CHANCE:
                continue
            if likeliest < 0 or sites.chance[cell] > sites.chance[likeliest]:
                likeliest = cell
        if likeliest < 0:
            return found
        put(sites, likeliest, beside)
        hit[found] = likeliest
        found += 1
    return found


@inlined
def _remove(
    sites: Sites, wanted: int, found: int, beside: Integers, hit: Integers, words: Words
) -> int:
    """Remove hits by one minus the probability of their cells, until their number is right."""
    while found > wanted:
        total = 0.0
        for k in range(found):
            total += 1.0 / (1.0 + sites.odds[hit[k]] * sites.boost[hit[k]])
        left = uniform(words) * total
        chosen = found - 1
        for k in range(found):
            left -= 1.0 / (1.0 + sites.odds[hit[k]] * sites.boost[hit[k]])
            if left <= 0.0:
                chosen = k
                break
        take(sites, hit[chosen], beside)
        found -= 1
        hit[chosen] = hit[found]
    return found
