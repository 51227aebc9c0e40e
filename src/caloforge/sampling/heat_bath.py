"""The hits of layers with few of them, one after the other drawn anew among all cells.

A few hits must lie where the layer's moments want them, and trying one cell after the other
(:mod:`.moves`) takes long to find such a place. Here a hit is taken out, every cell gets its
probability to have it, given the other hits and the moments, and one is drawn: a heat bath
(S. Geman, D. Geman, IEEE Trans. Pattern Anal. 6 (1984) 721). Its target is that of the moves. Every
cell has the node drawn beforehand that a hit there would have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Flags, Unsigned, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.hits import SURE, Sites, put, take
from caloforge.sampling.layer import Layer
from caloforge.sampling.moments import (
    LEAST_SHARE,
    Five,
    Symmetric,
    added,
    applied,
    basis,
    dot,
    projected,
    triangular,
    widened,
)
from caloforge.sampling.random import lower, mixed, share, uniform, upper
from caloforge.sampling.spectra import Places

MOST_HITS = 12
"""Layers with at most so many hits get a heat bath."""

LEAST_UPDATES = 8
"""So many hits, or all, are drawn anew, the same ones several times where they are fewer."""

MOST_GAIN = np.float32(1e8)
STEPS = np.float32(10.0)
"""Logarithms of weights are cut at the first; the largest is found to one part in the second."""

BLOCK = 16
"""Cells whose weights are summed together."""


class Bath(NamedTuple):
    """What a hit in any cell would be; arrays (cells,), the last a multiple of :data:`BLOCK`.

    ``node`` of its spectrum; ``mean`` and ``variance`` of its energy; ``x``, ``y`` from the wanted
    centre; ``chance``: its probability, but for the moments; ``weight``: its probability; both but
    for a factor.
    """

    node: Unsigned
    mean: Array
    variance: Array
    x: Array
    y: Array
    chance: Array
    weight: Array


@inlined
def empty_bath(cells: int) -> Bath:
    """Room for a layer of ``cells`` cells."""
    blocks = (cells + BLOCK - 1) // BLOCK
    return Bath(
        np.empty(cells, dtype=np.uint32), np.empty(cells, dtype=np.float32),
        np.empty(cells, dtype=np.float32), np.empty(cells, dtype=np.float32),
        np.empty(cells, dtype=np.float32), np.empty(cells, dtype=np.float32),
        np.zeros(BLOCK * blocks, dtype=np.float32),
    )  # fmt: skip


@compiled
def bathe(
    bath: Bath, layer: Layer, count: int, matrix: Symmetric, left: Five, words: Words
) -> Five:
    """Draw the hits of a layer anew; returns what is then wanted minus expected.

    The arguments are those of :func:`.moves.move_hits`.
    """
    sites, beside, spectra = layer.sites, layer.beside, layer.spectra
    hit, node, centre = layer.hit, layer.node, layer.centre
    _set_places(bath, layer.x, layer.y, np.float32(centre[0]), np.float32(centre[1]))
    _draw_nodes(bath.node, layer.decoded, spectra.grid, words)
    for k in range(count):
        bath.node[hit[k]] = node[k]
    _expect(bath, spectra.mean, spectra.variance)
    for update in range(max(count, LEAST_UPDATES)):
        k = update % count
        old = hit[k]
        if sites.odds[old] > SURE:
            continue
        take(sites, old, beside)
        variance, place = spectra.variance[bath.node[old]], _basis(bath, old)
        column = applied(matrix, place)
        rest = max(1.0 - variance * dot(column, place), LEAST_SHARE)
        matrix = widened(matrix, variance / rest, column)
        left = added(left, spectra.mean[bath.node[old]], place)
        new = draw_cell(bath, sites, matrix, left, old, words)
        put(sites, new, beside)
        variance, place = spectra.variance[bath.node[new]], _basis(bath, new)
        column = applied(matrix, place)
        matrix = widened(matrix, -variance / (1.0 + variance * dot(column, place)), column)
        left = added(left, -spectra.mean[bath.node[new]], place)
        hit[k], node[k] = new, bath.node[new]
    return left


@inlined
def _basis(bath: Bath, cell: np.uint32) -> Five:
    return basis(float(bath.x[cell]), float(bath.y[cell]))


@compiled
def _set_places(
    bath: Bath, x: Doubles, y: Doubles, centre_x: np.float32, centre_y: np.float32
) -> None:
    for cell in range(x.shape[0]):
        bath.x[cell] = np.float32(x[cell]) - centre_x
        bath.y[cell] = np.float32(y[cell]) - centre_y


@compiled
def _draw_nodes(node: Unsigned, decoded: Places, grid: int, words: Words) -> None:
    """One of the four nodes around every cell's place, by its bilinear weight."""
    first, step, most = words[0], words[1], np.float32(grid - 1)
    for cell in range(node.shape[0]):
        word = mixed(first + np.uint64(cell + 1) * step)
        i = np.int32(min(decoded.a[cell] + share(upper(word)), most))
        j = np.int32(min(decoded.b[cell] + share(lower(word)), most))
        node[cell] = np.uint32(i * np.int32(grid) + j)
    words[0] = first + np.uint64(node.shape[0]) * step


@compiled
def _expect(bath: Bath, mean: Doubles, variance: Doubles) -> None:
    for cell in range(bath.node.shape[0]):
        bath.mean[cell] = mean[bath.node[cell]]
        bath.variance[cell] = variance[bath.node[cell]]


@inlined
def draw_cell(
    bath: Bath, sites: Sites, matrix: Symmetric, left: Five, old: np.uint32, words: Words
) -> np.uint32:
    """The cell of a hit, by its exact probability; the old one where there is none."""
    root = triangular(matrix)
    _weigh(bath, root, projected(root, left))
    _gains(bath)
    _chances(bath, sites.odds, sites.boost, sites.used)
    _exponentials(bath, _largest(bath.weight[: bath.x.shape[0]]))
    weight, blocks = bath.weight, bath.weight.shape[0] // BLOCK
    total = np.float32(0.0)
    for cell in range(weight.shape[0]):
        total += weight[cell]
    rest = np.float32(uniform(words)) * total
    for block in range(blocks):
        part = np.float32(0.0)
        for cell in range(BLOCK * block, BLOCK * (block + 1)):
            part += weight[cell]
        if rest < part:
            for cell in range(BLOCK * block, BLOCK * (block + 1)):
                rest -= weight[cell]
                if rest < np.float32(0.0):
                    return np.uint32(cell)
        rest -= part
    return old


@compiled
def _weigh(bath: Bath, root: Symmetric, wanted: Five) -> None:
    """a = b^T M b and q = b^T M left of every cell's place b, see :func:`_gains`.

    From five numbers of every place, f = L^T b: the terms of a itself would cancel.

    Args:
        bath: the cells; a and q go into its weight and chance.
        root: L, see :func:`.moments.triangular`.
        wanted: L^T left.
    """
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = _single_precision(root)
    t0, t1, t2, t3, t4 = (
        np.float32(wanted[0]), np.float32(wanted[1]), np.float32(wanted[2]), np.float32(wanted[3]),
        np.float32(wanted[4]),
    )  # fmt: skip
    for cell in range(bath.x.shape[0]):
        x, y = bath.x[cell], bath.y[cell]
        xx, yy = x * x, y * y
        f0 = a + b * x + d * y + g * xx + k * yy
        f1 = c * x + e * y + h * xx + m * yy
        f2 = f * y + i * xx + n * yy
        f3 = j * xx + o * yy
        f4 = p * yy
        bath.weight[cell] = f0 * f0 + f1 * f1 + f2 * f2 + f3 * f3 + f4 * f4
        bath.chance[cell] = f0 * t0 + f1 * t1 + f2 * t2 + f3 * t3 + f4 * t4


@inlined
def _single_precision(root: Symmetric) -> tuple[np.float32, ...]:
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = root
    return (
        np.float32(a), np.float32(b), np.float32(c), np.float32(d), np.float32(e), np.float32(f),
        np.float32(g), np.float32(h), np.float32(i), np.float32(j), np.float32(k), np.float32(m),
        np.float32(n), np.float32(o), np.float32(p),
    )  # fmt: skip


@compiled
def _gains(bath: Bath) -> None:
    """Minus half of what a hit in every cell changes chi2 by, and the determinant.

    Its energy, normal around its mean m with variance v, changes chi2 by
    (m^2 a - 2 m q - v q^2) / (1 + v a), and the determinant of the covariance by 1 + v a.
    """
    half, one = np.float32(0.5), np.float32(1.0)
    for cell in range(bath.x.shape[0]):
        mean, variance = bath.mean[cell], bath.variance[cell]
        q, own = bath.chance[cell], bath.weight[cell]
        wide = one + variance * own
        bath.weight[cell] = (mean * (q - half * mean * own) + half * variance * q * q) / wide
        bath.chance[cell] = wide


@compiled
def _chances(bath: Bath, odds: Array, boost: Array, used: Flags) -> None:
    for cell in range(bath.x.shape[0]):
        free = odds[cell] * boost[cell] * np.float32(np.uint8(1) - used[cell])
        free = free if odds[cell] <= SURE else np.float32(0.0)
        bath.chance[cell] = free / np.sqrt(bath.chance[cell])
        gain = bath.weight[cell]
        bath.weight[cell] = max(gain, -MOST_GAIN) if free > np.float32(0.0) else -MOST_GAIN


@compiled
def _largest(weight: Array) -> np.float32:
    """The largest number, nearly: the compiler does many whole numbers at once."""
    most = np.int32(-(2**31) + 1)
    for cell in range(weight.shape[0]):
        most = max(most, np.int32(min(weight[cell], MOST_GAIN) * STEPS))
    return np.float32(most) / STEPS


@compiled
def _exponentials(bath: Bath, largest: np.float32) -> None:
    for cell in range(bath.x.shape[0]):
        bath.weight[cell] = bath.chance[cell] * exp(bath.weight[cell] - largest)
