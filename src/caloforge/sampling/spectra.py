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

from caloforge.sampling.arrays import Array, Doubles, Integers, State, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp, sigmoid
from caloforge.sampling.networks import Perceptron
from caloforge.sampling.random import find, uniform

REACH = 2.0
"""The grid's nodes lie evenly between -REACH and REACH in the inputs of the network of spectra."""


class Spectra(NamedTuple):
    """``grid``: nodes a side; for every node the running sum, the mean and the variance.

    ``rising`` (nodes, bins); ``mean``, ``variance`` (nodes,) MeV; ``inner`` (bins, steps + 1) MeV:
    the energies at equal steps of probability inside every bin.
    """

    grid: int
    rising: Doubles
    mean: Doubles
    variance: Doubles
    inner: Doubles


def tabulate(state: State, name: str, grid: int) -> Spectra:
    """Tabulate the network of spectra on its grid."""
    side = np.linspace(-REACH, REACH, grid, dtype=np.float32)
    nodes = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    logits = Perceptron(state, f"{name}.network", open_end=True)(nodes).astype(np.float64)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    inner = state[f"{name}.inner"].astype(np.float64)
    low, high = inner[:, :-1], inner[:, 1:]
    mean = share @ ((low + high) / 2).mean(axis=1)
    square = share @ ((low**2 + low * high + high**2) / 3).mean(axis=1)
    return Spectra(grid, share.cumsum(axis=1), mean, square - mean**2, inner)


class Places(NamedTuple):
    """Where the cells of a layer lie on the grid of spectra.

    ``a``, ``b`` (groups,) from the decoder; ``offset_a``, ``offset_b`` (cells,) are added to those
    of the cell's ``group`` (cells,).
    """

    a: Array
    b: Array
    offset_a: Array
    offset_b: Array
    group: Integers


@inlined
def draw_node(places: Places, cell: int, grid: int, words: Words) -> int:
    """One of the four nodes around a cell's place, by its bilinear weight."""
    group = places.group[cell]
    a = (grid - 1) * sigmoid(places.a[group] + places.offset_a[cell])
    b = (grid - 1) * sigmoid(places.b[group] + places.offset_b[cell])
    i = min(int(a), grid - 2)
    j = min(int(b), grid - 2)
    if uniform(words) < a - i:
        i += 1
    if uniform(words) < b - j:
        j += 1
    return i * grid + j


@inlined
def energy_in_bin(inner: Doubles, number: int, share: float) -> float:
    """Energy (MeV) below which the ``share`` of a bin's energies lies."""
    steps = inner.shape[1] - 1
    place = share * steps
    k = min(int(place), steps - 1)
    return float(inner[number, k] + (place - k) * (inner[number, k + 1] - inner[number, k]))


@inlined
def draw_energy(spectra: Spectra, node: int, words: Words) -> float:
    """An energy (MeV) from a node's spectrum."""
    number = find(spectra.rising[node], uniform(words))
    return energy_in_bin(spectra.inner, number, uniform(words))


@compiled
def draw_energy_near(
    spectra: Spectra, node: int, centre: float, weight: float, words: Words
) -> float:
    """An energy from a node's spectrum times exp(-weight (e - centre)^2 / 2), bin by bin.

    Slow: for the few cells where drawing and refusing would take too long.
    """
    inner = spectra.inner
    bins, steps = inner.shape[0], inner.shape[1] - 1
    share = np.empty(bins)
    least = np.inf
    for number in range(bins):
        least = min(least, (inner[number, steps // 2] - centre) ** 2)
    before = 0.0
    total = 0.0
    for number in range(bins):
        away = (inner[number, steps // 2] - centre) ** 2 - least
        own = spectra.rising[node, number] - before
        before = spectra.rising[node, number]
        share[number] = own * exp(np.float32(-0.5 * weight * away))
        total += share[number]
    left = uniform(words) * total
    chosen = bins - 1
    for number in range(bins):
        left -= share[number]
        if left <= 0.0:
            chosen = number
            break
    low, high = inner[chosen, 0], inner[chosen, steps]
    if low < centre < high and weight * (high - low) ** 2 > 1.0:
        return centre
    return energy_in_bin(inner, chosen, uniform(words))
