"""Hits move to other cells until they suit their neighbours and the layer's moments.

A Metropolis chain (W. Hastings, Biometrika 57 (1970) 97) at a fixed number of hits. Its target is
the field of the hits (:mod:`.hits`) times the Gaussian of the layer's moments, the energies of the
hits being integrated out: replaced by their means and variances. Half of the tries move a hit to a
cell drawn by its chance, half to a cell beside another hit.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Doubles, Integers, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.hits import SIDES, Sites, put, take
from caloforge.sampling.moments import MOMENTS, basis, quadratic
from caloforge.sampling.random import find, uniform
from caloforge.sampling.spectra import Places, Spectra, draw_node

SURE = 0.95
"""Hits of cells with more chance stay: far from the wanted moments the chain would give them up and
not find back in time."""


@inlined
def _proposal(sites: Sites, cell: int, touching: int, count: int) -> float:
    """Probability to propose a cell, times 2."""
    by_chance = sites.chance[cell] / sites.rising[-1]
    return float(by_chance + touching / (SIDES * count))


@inlined
def _target(sites: Sites, count: int, beside: Integers, hit: Integers, words: Words) -> int:
    """A cell to move a hit to, or -1."""
    if uniform(words) < 0.5:
        return find(sites.rising, uniform(words) * sites.rising[-1])
    side = int(uniform(words) * SIDES)
    return int(beside[hit[int(uniform(words) * count)], side])


@compiled
def move_hits(
    tries: int,
    sites: Sites,
    count: int,
    beside: Integers,
    hit: Integers,
    node: Integers,
    decoded: Places,
    spectra: Spectra,
    x: Doubles,
    y: Doubles,
    matrix: Doubles,
    left: Doubles,
    places: Doubles,
    words: Words,
) -> None:
    """Try to move hits.

    Args:
        tries: how often.
        sites, count, beside, hit: the field and its hits, see :func:`.hits.draw_hits`.
        node: (count,) nodes of the hits' spectra.
        decoded: what the decoder says of the layer's spectra.
        spectra: the tabulated spectra.
        x, y: (cells,) positions from the wanted centre.
        matrix: inverse covariance of the moments.
        left: (MOMENTS,) wanted minus expected moments.
        places: (count, MOMENTS) basis of the hits.
        words: (2,) random state.
    """
    new = np.empty(MOMENTS)
    after = np.empty(MOMENTS)
    before = quadratic(matrix, left)
    for _ in range(tries):
        moved = int(uniform(words) * count)
        old = hit[moved]
        if sites.chance[old] > SURE:
            continue
        goal = _target(sites, count, beside, hit, words)
        if goal < 0 or sites.used[goal] == 1:
            continue
        link, touch = 1.0, 0
        for side in range(SIDES):
            if beside[old, side] == goal:
                link = 1.0 + sites.pull[old] * sites.pull[goal]
                touch = 1
        there = sites.odds[goal] * sites.boost[goal] / link
        there *= _proposal(sites, old, sites.touching[old] + touch, count)
        here = sites.odds[old] * sites.boost[old]
        here *= _proposal(sites, goal, sites.touching[goal], count)
        limit = uniform(words) * here / there
        if limit > exp(np.float32(0.5 * before)):
            continue
        goal_node = draw_node(decoded, goal, spectra.grid, words)
        basis(x[goal], y[goal], new)
        for a in range(MOMENTS):
            after[a] = (
                left[a]
                + spectra.mean[node[moved]] * places[moved, a]
                - spectra.mean[goal_node] * new[a]
            )
        chi2 = quadratic(matrix, after)
        if limit < exp(np.float32(0.5 * (before - chi2))):
            take(sites, old, beside)
            put(sites, goal, beside)
            hit[moved] = goal
            node[moved] = goal_node
            before = chi2
            for a in range(MOMENTS):
                left[a] = after[a]
                places[moved, a] = new[a]
