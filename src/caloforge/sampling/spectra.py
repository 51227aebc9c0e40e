"""Spectra of single cells: a grid of tabulated spectra, any cell somewhere between four of them.

The spectrum of a cell is a histogram in bins that are common to all cells; inside a bin the
energies follow the training sample's own distribution, so that its sharp structures (the
threshold, the multiples of the MIP) stay where they are. The decoder gives every cell a place on a
grid of such histograms, and its spectrum is the bilinear mixture of the four nodes around it: to
draw from the mixture one draws the node first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Flags, Index, State, Unsigned, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.networks import Perceptron
from caloforge.sampling.random import bits, lower, share, upper

REACH = 2.0
"""The grid's nodes lie evenly between -REACH and REACH in the inputs of the network of spectra."""

RANKS = 64
"""Nodes are told apart in so many steps where they are ordered by their variance."""


class Spectra(NamedTuple):
    """``grid``: nodes a side; for every node the running sum, the mean and the variance.

    ``rising`` (nodes, bins); ``mean``, ``variance`` (nodes,) MeV; ``rank`` (nodes,) of the variance
    in RANKS steps; ``inner`` (bins, steps + 1) MeV: the energies at equal steps of
    probability inside every bin; ``alias`` (nodes, bins) and ``mask``: see :func:`alias_table`.
    """

    grid: int
    rising: Doubles
    mean: Doubles
    variance: Doubles
    rank: Flags
    inner: Doubles
    alias: Unsigned
    mask: int


def spectra_of(grid: int, share: Doubles, inner: Doubles) -> Spectra:
    """Spectra of the nodes from the shares (nodes, bins) of the bins, see :class:`Spectra`."""
    low, high = inner[:, :-1], inner[:, 1:]
    mean = share @ ((low + high) / 2).mean(axis=1)
    square = share @ ((low**2 + low * high + high**2) / 3).mean(axis=1)
    variance = square - mean**2
    order = variance.argsort(kind="stable").argsort(kind="stable")
    rank = (order * RANKS // len(order)).astype(np.uint8)
    alias = np.empty(share.shape, dtype=np.uint32)
    mask = 2 ** (share.shape[1] - 1).bit_length() - 1  # as many bits as a bin's number needs
    alias_table(share, np.uint32(mask), alias)
    return Spectra(grid, share.cumsum(axis=1), mean, variance, rank, inner, alias, mask)


def tabulate(state: State, name: str, grid: int) -> Spectra:
    """Tabulate the network of spectra on its grid."""
    side = np.linspace(-REACH, REACH, grid, dtype=np.float32)
    nodes = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    knots = Perceptron(state, f"{name}.network", open_end=True)(nodes).astype(np.float64)
    logits = knots @ state[f"{name}.basis"].astype(np.float64) + state[f"{name}.common"]
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    inner = state[f"{name}.inner"].astype(np.float64)
    return spectra_of(grid, share, inner)


@compiled
def alias_table(share: Doubles, mask: np.uint32, table: Unsigned) -> None:
    """Tables to draw bins at once (A. Walker; M. Vose, IEEE Trans. Softw. Eng. 17 (1991) 972).

    All bins are drawn alike; a bin is kept where 32 more random bits are less than its entry, else
    the entry's low bits are the bin to take instead.

    Args:
        share: (nodes, bins) shares, sums of 1.
        mask: the low bits.
        table: (nodes, bins) result.
    """
    nodes, bins = share.shape
    scaled = np.empty(bins)
    stack = np.empty(bins, dtype=np.int64)  # bins with too little from below, others from above
    for node in range(nodes):
        few, many = 0, bins
        for number in range(bins):
            scaled[number] = share[node, number] * bins
            if scaled[number] < 1.0:
                stack[few] = number
                few += 1
            else:
                many -= 1
                stack[many] = number
        while few > 0 and many < bins:
            few -= 1
            small, large = stack[few], stack[many]
            keep = np.uint32(max(scaled[small], 0.0) * 4294967295.0)
            table[node, small] = (keep & ~mask) | np.uint32(large)
            scaled[large] -= 1.0 - scaled[small]
            if scaled[large] < 1.0:
                many += 1
                stack[few] = large
                few += 1
        for k in range(few):
            table[node, stack[k]] = ~mask | np.uint32(stack[k])
        for k in range(many, bins):
            table[node, stack[k]] = ~mask | np.uint32(stack[k])


class Places(NamedTuple):
    """Where the cells of a layer lie on the grid of spectra: (cells,) each, 0 .. grid - 1."""

    a: Array
    b: Array


@inlined
def draw_node(places: Places, cell: Index, grid: int, words: Words) -> int:
    """One of the four nodes around a cell's place, by its bilinear weight."""
    a, b = places.a[cell], places.b[cell]
    most = np.int64(grid - 2)
    i, j = min(np.int64(a), most), min(np.int64(b), most)
    word = bits(words)
    i += np.int64(share(upper(word)) < a - np.float32(i))
    j += np.int64(share(lower(word)) < b - np.float32(j))
    return int(i * grid + j)


@inlined
def energy_in_bin(inner: Doubles, number: Index, half: np.uint64) -> float:
    """An energy (MeV) of a bin, from 32 random bits."""
    place = half * np.uint64(inner.shape[1] - 1)
    k = upper(place)
    low = inner[number, k]
    return float(low + share(lower(place)) * (inner[number, k + np.uint64(1)] - low))


@inlined
def draw_energy(spectra: Spectra, node: int, words: Words) -> float:
    """An energy (MeV) from a node's spectrum."""
    bins = spectra.alias.shape[1]
    word = bits(words)
    place = upper(word) * np.uint64(bins)
    number = upper(place)
    entry = spectra.alias[node, number]
    if lower(place) >= np.uint64(entry):
        number = np.uint64(entry) & np.uint64(spectra.mask)
    return energy_in_bin(spectra.inner, number, lower(word))
