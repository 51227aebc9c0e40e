"""Which cells of a layer are hit: a Markov field with exactly the wanted number of hits.

The field is that of :mod:`caloforge.models.layered.field`: a cell has odds of its own, which grow
by ``1 + pull pull'`` for every hit that shares a side with it. A first draw goes through the cells
once, each given those before it; then hits are added or removed until their number is right. What
is still wrong the moves of :mod:`.moves` mend.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Flags, Index, Integers, Unsigned, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.random import bits, lower, mixed, uniform, upper

TRIES = 1000
"""Draws of a missing hit that may find a cell that is hit already."""

SIDES = 4

LEAST_LOGIT = np.float32(-60.0)
"""Cells with less do not exist."""

MOST_LOGIT = np.float32(40.0)
"""Cells with more are as sure as these: odds must not overflow."""

SURE = np.float32(19.0)
"""Cells with greater odds stay as they are: far from the wanted moments the chain would give such
hits up and not find back in time."""

LEAST_CHANCE = np.float32(1e-30)
"""Of all cells together; that of any cell which exists is greater."""

WHOLE = 2.0**31
"""About the sum of the cells' weights."""

BLOCK = 8
"""Cells that the guide does not tell apart."""

GUIDES = 128
"""Steps of the table that says where to begin to look for a cell."""

_GUIDE_SHIFT = np.uint32(24)
"""Bits of a sum of weights below those that count the guide's steps."""

_WORD = 8
"""Flags that are looked at together."""


class Sites(NamedTuple):
    """The cells of one layer while its hits are drawn.

    Arrays (cells + 1,), ``rising`` and ``used`` longer: the place behind the cells stands for those
    that are not there, beside those at the edge; it cannot be hit.

    ``odds`` of a hit without neighbours; ``pull`` of its couplings; ``rising``: running sum of the
    cells' chances odds / (1 + odds) as whole numbers, the ``weight``; ``guide`` (GUIDES + 1,): the
    first block of cells whose sum may exceed a step; ``used``: 1 where hit; ``boost``: by how much
    the hits beside the cell raise its odds; ``touching``: how many these are; ``room`` for numbers.
    """

    odds: Array
    pull: Array
    weight: Integers
    rising: Unsigned
    guide: Unsigned
    boost: Array
    used: Flags
    touching: Flags
    room: Array


@compiled
def empty_sites(cells: int) -> Sites:
    """Room for a layer of ``cells`` cells."""
    size = cells + 1
    flags = (size + _WORD - 1) // _WORD * _WORD
    blocks = (size + BLOCK - 1) // BLOCK
    return Sites(
        np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32),
        np.empty(size, dtype=np.int32), np.empty(BLOCK * blocks, dtype=np.uint32),
        np.empty(GUIDES + 1, dtype=np.uint32), np.empty(size, dtype=np.float32),
        np.zeros(flags, dtype=np.uint8), np.empty(size, dtype=np.uint8),
        np.empty(size, dtype=np.float32),
    )  # fmt: skip


@compiled
def look(sites: Sites, logits: Array, spill: Array) -> None:
    """Begin without hits, from the logits (cells,) and the roots of the couplings (cells,)."""
    cells = logits.shape[0]
    sites.boost[:] = np.float32(1.0)
    sites.used[:] = 0
    sites.touching[:] = 0
    _set_odds(sites.odds, sites.pull, logits, spill)
    total = _set_chances(sites.room, sites.odds, cells)
    _set_weights(sites.weight, sites.room, np.float32(0.999 * WHOLE) / max(total, LEAST_CHANCE))
    sites.odds[cells] = np.float32(0.0)
    sites.pull[cells] = np.float32(0.0)
    sites.weight[cells] = 0
    _add_up(sites.weight, sites.rising, sites.guide)


# Short loops over plain arrays: the compiler does many cells at once.


@compiled
def _set_odds(odds: Array, pull: Array, logits: Array, spill: Array) -> None:
    for cell in range(logits.shape[0]):
        root = exp(np.float32(0.5) * min(logits[cell], MOST_LOGIT))
        there = logits[cell] >= LEAST_LOGIT
        odds[cell] = root * root if there else np.float32(0.0)
        pull[cell] = spill[cell] / root if there else np.float32(0.0)


@compiled
def _set_chances(chance: Array, odds: Array, cells: int) -> np.float32:
    total = np.float32(0.0)
    for cell in range(cells):
        chance[cell] = odds[cell] / (np.float32(1.0) + odds[cell])
        total += chance[cell]
    return total


@compiled
def _set_weights(weight: Integers, chance: Array, scale: np.float32) -> None:
    for cell in range(weight.shape[0] - 1):
        weight[cell] = np.int32(chance[cell] * scale)


@compiled
def _add_up(weight: Integers, rising: Unsigned, guide: Unsigned) -> None:
    """The running sum of the weights; its guide (H. Chen, Y. Asau, AIIE Trans. 6 (1974) 163)."""
    total = 0
    for cell in range(weight.shape[0]):
        total += weight[cell]
        rising[cell] = total
    rising[weight.shape[0] :] = total
    guide[:] = 0
    for block in range(rising.shape[0] // BLOCK):
        guide[(rising[BLOCK * block + BLOCK - 1] >> _GUIDE_SHIFT) + np.uint32(1)] = block + 1
    most = np.uint32(0)
    for step in range(GUIDES + 1):
        most = max(most, guide[step])
        guide[step] = most


@inlined
def by_chance(sites: Sites, half: np.uint64) -> np.uint64:
    """A cell drawn by its weight, from 32 random bits."""
    rising = sites.rising
    value = np.uint32(upper(half * np.uint64(rising[-1])))
    cell = np.uint64(sites.guide[value >> _GUIDE_SHIFT]) * np.uint64(BLOCK)
    while rising[cell + np.uint64(BLOCK - 1)] <= value:
        cell += np.uint64(BLOCK)
    cell += np.uint64(4) * np.uint64(rising[cell + np.uint64(3)] <= value)
    cell += np.uint64(2) * np.uint64(rising[cell + np.uint64(1)] <= value)
    return cell + np.uint64(rising[cell] <= value)


@inlined
def put(sites: Sites, cell: Index, beside: Integers) -> None:
    """Hit a cell; ``beside`` (cells, SIDES)."""
    sites.used[cell] = 1
    own = sites.pull[cell]
    for side in range(SIDES):
        other = beside[cell, side]
        sites.boost[other] *= np.float32(1.0) + own * sites.pull[other]
        sites.touching[other] += np.uint8(1)


@inlined
def take(sites: Sites, cell: Index, beside: Integers) -> None:
    """Undo :func:`put`."""
    sites.used[cell] = 0
    own = sites.pull[cell]
    for side in range(SIDES):
        other = beside[cell, side]
        sites.boost[other] /= np.float32(1.0) + own * sites.pull[other]
        sites.touching[other] -= np.uint8(1)


@compiled
def draw_hits(sites: Sites, wanted: int, beside: Integers, hit: Integers, words: Words) -> int:
    """Draw the hits of one layer, see :func:`look`; return how many there are.

    Args:
        sites: the cells, without hits.
        wanted: number of hits; there are fewer only where too few cells can be hit.
        beside: (cells, SIDES) cells that share a side, or the number of cells.
        hit: (cells,) result: the cells that are hit come first.
        words: (2,) random state.
    """
    need = sites.room
    _draw_needs(sites.odds, need, words)
    found = 0
    for cell in range(beside.shape[0]):
        if sites.boost[cell] > need[cell]:
            put(sites, cell, beside)
            hit[found] = cell
            found += 1
    found = _add(sites, wanted, found, beside, hit, words)
    return _remove(sites, wanted, found, beside, hit, words)


@compiled
def _draw_needs(odds: Array, need: Array, words: Words) -> None:
    """By how much the odds of every cell must be raised to make it a hit."""
    half = odds.shape[0] // 2
    first, step = words[0], words[1]
    for k in range(half):
        word = mixed(first + np.uint64(k + 1) * step)
        need[k] = _odds_drawn(upper(word)) / odds[k]
        need[k + half] = _odds_drawn(lower(word)) / odds[k + half]
    words[0] = first + np.uint64(half) * step
    need[-1] = _odds_drawn(upper(bits(words))) / odds[-1]


@inlined
def _odds_drawn(half: np.uint64) -> np.float32:
    """u / (1 - u) for an even u that is never 0, from 32 random bits."""
    u = (np.float32(np.int32(half >> np.uint64(1))) + np.float32(0.5)) * np.float32(1.0 / WHOLE)
    return u / (np.float32(1.0) - u)


@inlined
def _add(
    sites: Sites, wanted: int, found: int, beside: Integers, hit: Integers, words: Words
) -> int:
    """Add hits by the chance of their cells, until their number is right.

    Where that takes too long, nearly all cells are hit: the likeliest of the others follow.
    """
    tries = 0
    while found < wanted and tries < TRIES and sites.rising[-1] > 0:
        cell = by_chance(sites, lower(bits(words)))
        if sites.used[cell] == 1:
            tries += 1
            continue
        put(sites, cell, beside)
        hit[found] = cell
        found += 1
    while found < wanted:
        likeliest, most = 0, np.float32(0.0)
        for other in range(beside.shape[0]):
            if sites.used[other] == 0 and sites.odds[other] > most:
                likeliest, most = other, sites.odds[other]
        if most == np.float32(0.0):
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
    against = sites.room
    while found > wanted:
        total = np.float32(0.0)
        for k in range(found):
            cell = hit[k]
            against[k] = np.float32(1.0) / (np.float32(1.0) + sites.odds[cell] * sites.boost[cell])
            total += against[k]
        left = np.float32(uniform(words)) * total
        chosen = found - 1
        for k in range(found):
            left -= against[k]
            if left <= np.float32(0.0):
                chosen = k
                break
        take(sites, hit[chosen], beside)
        found -= 1
        hit[chosen] = hit[found]
    return found
