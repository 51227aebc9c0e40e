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

from caloforge.sampling.arrays import Array, Doubles, Flags, Halves, Index, State, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.networks import Perceptron
from caloforge.sampling.random import bits, lower, share, uniform, upper

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
    alias: Halves
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
def alias_table(share: Doubles, mask: np.uint32, table: Halves) -> None:
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


NEAR = 5.0
"""Energies further from the wanted one, in its widths, are not drawn where that one is exact."""

LEAST_MASS = 1e-9
"""Bins near the wanted energy with less probability are not drawn from."""

REFUSALS = 24
"""Refused energies before steps of the spectrum are weighted one by one."""

PATIENCE = 1000
"""Refused energies before the last one is taken all the same."""


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


@inlined
def _first_above(inner: Doubles, step: int, energy: float) -> int:
    """The first bin whose energy at a step exceeds ``energy``, at most the last bin."""
    low, high = 0, inner.shape[0] - 1
    while low < high:
        middle = (low + high) >> 1
        if inner[middle, step] > energy:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def draw_energy_near(
    spectra: Spectra, node: int, centre: float, weight: float, words: Words
) -> float:
    """An energy from a node's spectrum times exp(-weight (e - centre)^2 / 2), by refusing.

    Only from bins within NEAR times the width of that Gaussian, counted from where the spectrum is
    nearest to ``centre``.
    """
    inner, rising = spectra.inner, spectra.rising[node]
    apart = max(inner[0, 0] - centre, centre - inner[-1, -1], 0.0)
    reach = np.sqrt(apart**2 + NEAR**2 / weight)
    begin = _first_above(inner, inner.shape[1] - 1, centre - reach)
    end = _first_above(inner, 0, centre + reach)  # where the next bins begin, or the last one
    below = rising[begin - 1] if begin > 0 else 0.0
    mass = rising[end] - below
    if mass <= LEAST_MASS:
        return _draw_by_steps(inner, rising, 0, inner.shape[0] - 1, centre, weight, words)
    for _ in range(REFUSALS):
        word = bits(words)
        value = below + mass * np.float64(share(upper(word)))
        number = begin
        while number < end and rising[number] <= value:
            number += 1
        drawn = energy_in_bin(inner, number, lower(word))
        away = (drawn - centre) ** 2 - apart**2
        if share(upper(bits(words))) < exp(np.float32(-0.5 * weight * away)):
            return drawn
    return _draw_by_steps(inner, rising, begin, end, centre, weight, words)


@inlined
def _away(low: float, high: float, centre: float) -> float:
    """Distance from the range low .. high."""
    return max(low - centre, centre - high, 0.0)


@compiled
def _draw_by_steps(
    inner: Doubles,
    rising: Doubles,
    begin: int,
    end: int,
    centre: float,
    weight: float,
    words: Words,
) -> float:
    """An energy from some bins of a spectrum times exp(-weight (e - centre)^2 / 2).

    The steps inside the bins are drawn by the greatest value of the Gaussian in them, and refused
    by its value at the energy; slower, but refuses seldom where the Gaussian is steep.
    """
    steps = inner.shape[1] - 1
    least = np.inf
    for number in range(begin, end + 1):
        least = min(least, _away(inner[number, 0], inner[number, steps], centre))
    greatest = np.empty((end + 1 - begin) * steps)
    total = 0.0
    for number in range(begin, end + 1):
        own = rising[number] - (rising[number - 1] if number > 0 else 0.0)
        for step in range(steps):
            away = _away(inner[number, step], inner[number, step + 1], centre)
            total += own * exp(np.float32(-0.5 * weight * (away**2 - least**2)))
            greatest[(number - begin) * steps + step] = total
    drawn = 0.0
    for _ in range(PATIENCE):
        place = np.searchsorted(greatest, uniform(words) * total, side="right")
        number, step = begin + place // steps, place % steps
        low, high = inner[number, step], inner[number, step + 1]
        drawn = low + uniform(words) * (high - low)
        away = (drawn - centre) ** 2 - _away(low, high, centre) ** 2
        if uniform(words) < exp(np.float32(-0.5 * weight * away)):
            break
    return float(drawn)
