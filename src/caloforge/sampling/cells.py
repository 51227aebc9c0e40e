"""The cells of a layer, given the layer's numbers and what the decoder says of every cell.

1. Hits: a Markov field with exactly as many as wanted (:mod:`.hits`).
2. Moves of hits, with the cells' energies integrated out, towards the layer's moments
   (:mod:`.moves`).
3. Energies, hit after hit, those with the smallest variance first: each is drawn from its own
   spectrum times the Gaussian look-ahead of what is then left for the others. The
   covariance of the rest loses one rank-one term a hit, so its inverse is kept up to date by the
   Sherman-Morrison formula; the tilt is a Gaussian of one number, drawing and refusing is exact.
4. The sum of the energies is scaled to the layer's energy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Integers, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp
from caloforge.sampling.hits import Sites, draw_hits, empty_sites, look
from caloforge.sampling.moments import MOMENTS, basis, precision, targets
from caloforge.sampling.moves import move_hits
from caloforge.sampling.random import seed, uniform
from caloforge.sampling.spectra import (
    Places,
    Spectra,
    draw_energy,
    draw_energy_near,
    draw_node,
)

REFUSALS = 24
"""Refused energies of a hit before its spectrum is tilted bin by bin."""

FEW_HITS = 10
"""Layers get moves as if they had this many more hits: a few hits begin far from where they go."""


class Layers(NamedTuple):
    """What all layers are like; a layer is a window of ``places`` cells in a frame of ``cells``.

    Args:
        group: (cells,) the decoder's group of every cell.
        offset: (layers, 3, cells) added to what the decoder says.
        spill: (layers, cells) roots of the couplings, exp(c / 2).
        x, y: (layers, cells) positions, in cells.
        beside: (layers, places, 4) places that share a side, or -1.
        tolerance: (3,) of energy (relative), centres and widths (cells).
        tries: moves to try for every hit and :data:`FEW_HITS` more.
        threshold: least energy of a hit, MeV.
    """

    group: Integers
    offset: Array
    spill: Array
    x: Doubles
    y: Doubles
    beside: Integers
    tolerance: Doubles
    tries: float
    threshold: float


@compiled
def _draw_energies(
    count: int,
    node: Integers,
    spectra: Spectra,
    matrix: Doubles,
    left: Doubles,
    places: Doubles,
    energy: Doubles,
    words: Words,
) -> None:
    """Energies of all hits; ``matrix`` and ``left`` are spent."""
    spread = spectra.variance[node[:count]]
    column = np.empty(MOMENTS)
    for hit in np.argsort(spread):
        place = places[hit]
        own = 0.0
        for a in range(MOMENTS):
            value = 0.0
            for b in range(MOMENTS):
                value += matrix[a, b] * place[b]
            column[a] = value
            own += value * place[a]
        rest = max(1.0 - spread[hit] * own, 1e-9)
        towards = 0.0
        for a in range(MOMENTS):
            left[a] += spectra.mean[node[hit]] * place[a]
            towards += column[a] * left[a]
            for b in range(MOMENTS):
                matrix[a, b] += spread[hit] / rest * column[a] * column[b]
        centre = towards / own
        weight = own / rest
        drawn = _draw_tilted(spectra, node[hit], centre, weight, words)
        energy[hit] = drawn
        for a in range(MOMENTS):
            left[a] -= drawn * place[a]


@inlined
def _draw_tilted(spectra: Spectra, node: int, centre: float, weight: float, words: Words) -> float:
    for _ in range(REFUSALS):
        drawn = draw_energy(spectra, node, words)
        if uniform(words) < exp(np.float32(-0.5 * weight * (drawn - centre) ** 2)):
            return drawn
    return draw_energy_near(spectra, node, centre, weight, words)


@compiled
def _fill_layer(
    sites: Sites,
    decoded: Places,
    wanted: int,
    numbers: Doubles,
    layers: Layers,
    x: Doubles,
    y: Doubles,
    beside: Integers,
    spectra: Spectra,
    words: Words,
    hit: Integers,
    energy: Doubles,
) -> int:
    """Hit cells and their energies into ``hit`` and ``energy``; returns how many."""
    count = draw_hits(sites, wanted, beside, hit, words)
    if count == 0:
        return 0
    node = np.empty(count, dtype=np.int64)
    left = np.empty(MOMENTS)
    spread = np.empty(MOMENTS)
    places = np.empty((count, MOMENTS))
    targets(numbers, layers.tolerance, left, spread)
    for k in range(count):
        node[k] = draw_node(decoded, hit[k], spectra.grid, words)
        basis(x[hit[k]], y[hit[k]], places[k])
        for a in range(MOMENTS):
            left[a] -= spectra.mean[node[k]] * places[k, a]
    if count > 1:
        matrix = np.empty((MOMENTS, MOMENTS))
        precision(spread, places, spectra.variance, node, count, matrix)
        move_hits(
            int(layers.tries * (count + FEW_HITS)), sites, count, beside, hit, node, decoded,
            spectra, x, y, matrix, left, places, words,
        )  # fmt: skip
        precision(spread, places, spectra.variance, node, count, matrix)
        _draw_energies(count, node, spectra, matrix, left, places, energy, words)
    else:
        energy[0] = numbers[0]
    scale = numbers[0] / energy[:count].sum()
    for k in range(count):
        energy[k] = max(energy[k] * scale, layers.threshold)
    return count


@inlined
def _emit(
    count: int, sites: Sites, hit: Integers, energy: Doubles, out_place: Integers, out: Array
) -> None:
    """The hits of a layer in the order of their cells; spends ``sites.boost``."""
    for k in range(count):
        sites.boost[hit[k]] = energy[k]
    written = 0
    for cell in range(sites.used.shape[0]):
        if sites.used[cell] == 1:
            out_place[written] = cell
            out[written] = sites.boost[cell]
            written += 1


@compiled
def fill_layers(
    decoded: Array,
    layer: Integers,
    begin: Integers,
    hits: Integers,
    numbers: Doubles,
    layers: Layers,
    spectra: Spectra,
    keys: Words,
    first: Integers,
    found: Integers,
    out_place: Integers,
    out: Array,
) -> None:
    """The cells of many layers of many showers, one row each.

    Args:
        decoded: (rows, 3 groups) from the decoder: logit of a hit, and the place on the grid of
            spectra, for every group of cells.
        layer: (rows,) layer numbers.
        begin: (rows,) the frame's cell that is the layer's first place.
        hits: (rows,) wanted hits, more than 0.
        numbers: (rows, 5) energy (MeV), centres and widths (cells).
        layers: what the layers are like.
        spectra: the tabulated spectra.
        keys: (rows, 2) random key of the row's shower.
        first: (rows,) where the results of each row begin.
        found: (rows,) result: how many hits there are.
        out_place: result: hit places of the layer, rising.
        out: result: their energies (MeV), float32.
    """
    groups = decoded.shape[1] // 3
    cells = layers.beside.shape[1]
    sites = empty_sites(cells)
    words = np.empty(2, dtype=np.uint64)
    logits = np.empty(cells, dtype=np.float32)
    hit = np.empty(cells, dtype=np.int64)
    energy = np.empty(cells)
    for row in range(decoded.shape[0]):
        number = layer[row]
        seed(words, keys[row], number + 1)
        low, high = begin[row], begin[row] + cells
        group = layers.group[low:high]
        offset = layers.offset[number, :, low:high]
        for cell in range(cells):
            logits[cell] = decoded[row, group[cell]] + offset[0, cell]
        look(sites, logits, layers.spill[number, low:high])
        said = Places(
            decoded[row, groups : 2 * groups], decoded[row, 2 * groups :], offset[1], offset[2],
            group,
        )  # fmt: skip
        x = layers.x[number, low:high] - numbers[row, 1]
        y = layers.y[number, low:high] - numbers[row, 2]
        count = _fill_layer(
            sites, said, hits[row], numbers[row], layers, x, y, layers.beside[number], spectra,
            words, hit, energy,
        )  # fmt: skip
        found[row] = count
        _emit(count, sites, hit, energy, out_place[first[row] :], out[first[row] :])
