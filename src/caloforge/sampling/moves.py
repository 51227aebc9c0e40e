"""Hits move to other cells until they suit their neighbours and the layer's moments.

A Metropolis chain (W. Hastings, Biometrika 57 (1970) 97) at a fixed number of hits. Its target is
the field of the hits (:mod:`.hits`) times the Gaussian of the layer's moments, the energies of the
hits being integrated out: their means are expected, their covariance widens the Gaussian, and is
kept up to date by the Sherman-Morrison formula. One hit far out may hold much energy or little.
Half of the tries move a hit to a cell drawn by its chance, half to a cell beside another hit.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Unsigned, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.hits import SIDES, SURE, Sites, by_chance, put, take
from caloforge.sampling.layer import Layer
from caloforge.sampling.moments import (
    LEAST_SHARE,
    Five,
    Symmetric,
    added,
    applied,
    basis,
    dot,
    quadratic,
    widened,
)
from caloforge.sampling.random import bits, lower, one_of, share, upper
from caloforge.sampling.spectra import draw_node


@inlined
def _target(
    sites: Sites, count: int, beside: Unsigned, hit: Unsigned, half: np.uint64
) -> np.uint64:
    """A cell to move a hit to, from 32 random bits."""
    rest = (half << np.uint64(1)) & np.uint64(0xFFFFFFFF)
    number = one_of(rest, SIDES * count)
    near = hit[number // np.uint64(SIDES)]
    neighbour = np.uint64(beside[near, number % np.uint64(SIDES)])
    other = by_chance(sites, rest)
    return other if half >> np.uint64(31) == 0 else neighbour


@inlined
def _movable_first(sites: Sites, count: int, hit: Unsigned, node: Unsigned) -> int:
    """Sort the hits that stay to the end; returns how many do not."""
    movable = count
    for k in range(count - 1, -1, -1):
        if sites.odds[hit[k]] > SURE:
            movable -= 1
            _swap(hit, k, movable)
            _swap(node, k, movable)
    return movable


@inlined
def _swap(values: Unsigned, one: int, other: int) -> None:
    values[one], values[other] = values[other], values[one]


@compiled
def move_hits(
    tries: float, layer: Layer, count: int, matrix: Symmetric, left: Five, words: Words
) -> Five:
    """Try to move hits; returns what is then wanted minus expected.

    Args:
        tries: how often, for every hit.
        layer: the layer with its first hits, which change.
        count: how many there are.
        matrix: inverse covariance of the moments.
        left: wanted minus expected moments.
        words: (2,) random state.
    """
    sites, beside, spectra = layer.sites, layer.beside, layer.spectra
    hit, node, x, y, centre = layer.hit, layer.node, layer.x, layer.y, layer.centre
    odds, boost, weight, touching = sites.odds, sites.boost, sites.weight, sites.touching
    # the probability to propose a cell, but for a factor: its weight, and so much a hit beside it
    each = np.float32(sites.rising[-1]) / np.float32(SIDES * count)
    before = quadratic(matrix, left)
    movable = _movable_first(sites, count, hit, node)
    for _ in range(int(tries * movable)):
        word = bits(words)
        moved = one_of(upper(word), movable)
        old = hit[moved]
        goal = _target(sites, count, beside, hit, lower(word))
        if goal >= np.uint64(beside.shape[0]) or sites.used[goal] == 1 or odds[goal] > SURE:
            continue
        link, touch = np.float32(1.0), np.float32(touching[old])
        for side in range(SIDES):
            if beside[old, side] == goal:
                link += sites.pull[old] * sites.pull[goal]
                touch += np.float32(1.0)
        there = odds[goal] * boost[goal] * (np.float32(weight[old]) + touch * each)
        here = odds[old] * boost[old] * link
        here *= np.float32(weight[goal]) + np.float32(touching[goal]) * each
        goal_node = draw_node(layer.decoded, goal, spectra.grid, words)
        lost = basis(x[old] - centre[0], y[old] - centre[1])
        won = basis(x[goal] - centre[0], y[goal] - centre[1])
        mean, goal_mean = spectra.mean[node[moved]], spectra.mean[goal_node]
        without, along = applied(matrix, lost), applied(matrix, won)
        own, between, other = dot(without, lost), dot(without, won), dot(along, won)
        pull, goal_pull = dot(without, left), dot(along, left)
        # what is left changes: its products with the two columns, and chi2
        new_pull = pull + mean * own - goal_mean * between
        new_goal_pull = goal_pull + mean * between - goal_mean * other
        chi2 = before + mean * (pull + new_pull) - goal_mean * (goal_pull + new_goal_pull)
        # and the covariance: one term less, one more
        less, more = spectra.variance[node[moved]], spectra.variance[goal_node]
        shrunk = max(1.0 - less * own, LEAST_SHARE)
        less /= shrunk
        grown = 1.0 + more * (other + less * between**2)
        more /= grown
        new_goal_pull += less * between * new_pull
        chi2 += less * new_pull**2 - more * new_goal_pull**2
        limit = share(upper(bits(words))) * here * np.float32(np.sqrt(shrunk * grown))
        if limit < there * exp(np.float32(0.5 * (before - chi2))):
            take(sites, old, beside)
            put(sites, goal, beside)
            hit[moved] = goal
            node[moved] = goal_node
            before, left = chi2, added(added(left, mean, lost), -goal_mean, won)
            along = added(along, less * between, without)
            matrix = widened(widened(matrix, less, without), -more, along)
    return left
