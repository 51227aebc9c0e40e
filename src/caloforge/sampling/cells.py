"""The cells of a layer, given the layer's numbers and what the decoder says of every cell.

1. Hits: a Markov field with exactly as many as wanted (:mod:`.hits`). A single one is drawn by its
   odds and its distance from the wanted centre; the next steps are for more.
2. Moves of hits, with the cells' energies integrated out, towards the layer's moments
   (:mod:`.moves`); where there are few hits, these are drawn anew instead (:mod:`.heat_bath`).
3. Energies, hit after hit, those with the smallest variance first: each is drawn from its own
   spectrum times the Gaussian look-ahead of what is then left for the others. The
   covariance of the rest loses one rank-one term a hit, so its inverse is kept up to date by the
   Sherman-Morrison formula; the tilt is a Gaussian of one number, drawing and refusing is exact.
4. What the sum of the energies lacks goes to those with most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Integers, Unsigned, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp, sigmoid
from caloforge.sampling.heat_bath import MOST_HITS, Bath, bathe, empty_bath
from caloforge.sampling.hits import Sites, draw_hits, empty_sites, look
from caloforge.sampling.layer import Layer
from caloforge.sampling.moments import (
    LEAST_SHARE,
    Five,
    Symmetric,
    added,
    applied,
    basis,
    dot,
    precision,
    targets,
    tolerances,
    widened,
)
from caloforge.sampling.moves import move_hits
from caloforge.sampling.random import seed, uniform
from caloforge.sampling.spectra import RANKS, Places, Spectra, draw_node
from caloforge.sampling.tilted import draw_tilted

EXTRA_HITS = 10
"""Layers get moves as if they had this many more hits: few of them begin far from where they go."""

LEAST_FACTOR = 0.5
"""Hits with most energy keep this share of it, at least, where there is too much in all."""


class Layers(NamedTuple):
    """What all layers are like; a layer is a window of ``places`` cells in a frame of ``cells``.

    Args:
        group: (cells,) the decoder's group of every cell.
        offset: (layers, 3, cells) added to what the decoder says.
        spill: (layers, cells) roots of the couplings, exp(c / 2).
        x, y: (layers, cells) positions, in cells.
        beside: (layers, places, 4) places that share a side, or ``places`` where there is none.
        tolerance: (3,) of energy (relative), centres and widths (cells).
        tries: moves to try for every hit and :data:`EXTRA_HITS` more.
        threshold: least energy of a hit, MeV.
    """

    group: Integers
    offset: Array
    spill: Array
    x: Doubles
    y: Doubles
    beside: Unsigned
    tolerance: Doubles
    tries: float
    threshold: float


class Rows(NamedTuple):
    """Layers of showers to fill, one row each.

    Args:
        decoded: (rows, 3 groups) from the decoder: logit of a hit, and the place on the grid of
            spectra, for every group of cells.
        layer: (rows,) layer numbers.
        begin: (rows,) the frame's cell that is the layer's first place.
        hits: (rows,) wanted hits, more than 0.
        numbers: (rows, 5) energy (MeV), centres and widths (cells).
        keys: (rows, 2) random key of the row's shower.
    """

    decoded: Array
    layer: Integers
    begin: Integers
    hits: Integers
    numbers: Doubles
    keys: Words


class Found(NamedTuple):
    """The hits of a layer while they are drawn; arrays (cells,).

    ``hit``: their cells; ``node``: of their spectra; ``x``, ``y`` from the wanted centre;
    ``energy`` in MeV; ``order``: in which they get it.
    """

    hit: Unsigned
    node: Unsigned
    x: Doubles
    y: Doubles
    energy: Doubles
    order: Unsigned


@inlined
def _empty_found(cells: int) -> Found:
    return Found(
        np.empty(cells, dtype=np.uint32), np.empty(cells, dtype=np.uint32), np.empty(cells),
        np.empty(cells), np.empty(cells), np.empty(cells, dtype=np.uint32),
    )  # fmt: skip


@inlined
def _sort(count: int, found: Found, spectra: Spectra) -> None:
    """The order of the hits by the rank of their variance."""
    first = np.zeros(RANKS + 1, dtype=np.uint32)
    for k in range(count):
        first[spectra.rank[found.node[k]] + 1] += 1
    for rank in range(RANKS):
        first[rank + 1] += first[rank]
    for k in range(count):
        rank = spectra.rank[found.node[k]]
        found.order[first[rank]] = k
        first[rank] += 1


@compiled
def _draw_energies(
    count: int,
    found: Found,
    spectra: Spectra,
    matrix: Symmetric,
    left: Five,
    words: Words,
) -> None:
    """Energies of all hits, given the moments that are left for them."""
    _sort(count, found, spectra)
    for k in range(count):
        hit = found.order[k]
        node = found.node[hit]
        spread, mean = spectra.variance[node], spectra.mean[node]
        place = basis(found.x[hit], found.y[hit])
        column = applied(matrix, place)
        own = dot(column, place)
        rest = max(1.0 - spread * own, LEAST_SHARE)
        centre = mean + dot(column, left) / own
        drawn = draw_tilted(spectra, node, centre, own / rest, words)
        found.energy[hit] = drawn
        left = added(left, mean - drawn, place)
        matrix = widened(matrix, spread / rest, column)


@compiled
def _single(
    sites: Sites,
    x: Doubles,
    y: Doubles,
    centre: tuple[float, float],
    tolerance: float,
    words: Words,
) -> int:
    """The cell of a layer's only hit, by its odds and its distance from the wanted centre."""
    cells = x.shape[0]
    nearest = np.inf
    for cell in range(cells):
        if sites.odds[cell] > 0.0:
            nearest = min(nearest, (x[cell] - centre[0]) ** 2 + (y[cell] - centre[1]) ** 2)
    total = 0.0
    for cell in range(cells):
        away = (x[cell] - centre[0]) ** 2 + (y[cell] - centre[1]) ** 2 - nearest
        sites.room[cell] = sites.odds[cell] * exp(np.float32(-0.5 * away / tolerance**2))
        total += sites.room[cell]
    left = uniform(words) * total
    for cell in range(cells):
        left -= sites.room[cell]
        if left < 0.0:
            return cell
    return int(np.argmax(sites.room[:cells]))


@compiled
def _fill_layer(
    sites: Sites,
    decoded: Places,
    wanted: int,
    numbers: Doubles,
    layers: Layers,
    x: Doubles,
    y: Doubles,
    beside: Unsigned,
    spectra: Spectra,
    words: Words,
    found: Found,
    bath: Bath,
) -> int:
    """Hit cells and their energies into ``found``; returns how many."""
    hit, node, energy = found.hit, found.node, found.energy
    centre = (numbers[1], numbers[2])
    if wanted == 1:
        hit[0] = _single(sites, x, y, centre, layers.tolerance[1], words)
        sites.used[hit[0]] = 1
        energy[0] = max(numbers[0], layers.threshold)
        return 1
    count = draw_hits(sites, wanted, beside, hit, words)
    if count == 0:
        return 0
    left, variance = targets(numbers), tolerances(numbers, count, layers.tolerance)
    for k in range(count):
        node[k] = draw_node(decoded, hit[k], spectra.grid, words)
        _place(k, found, x, y, centre)
        left = added(left, -spectra.mean[node[k]], basis(found.x[k], found.y[k]))
    matrix = precision(variance, found.x, found.y, spectra.variance, node, count)
    layer = Layer(sites, beside, hit, node, decoded, spectra, x, y, centre)
    if count <= MOST_HITS:
        left = bathe(bath, layer, count, matrix, left, words)
    else:
        tries = layers.tries * (count + EXTRA_HITS) / count
        left = move_hits(tries, layer, count, matrix, left, words)
    for k in range(count):
        _place(k, found, x, y, centre)
    matrix = precision(variance, found.x, found.y, spectra.variance, node, count)
    _draw_energies(count, found, spectra, matrix, left, words)
    add_up_to(numbers[0], count, energy, layers.threshold)
    return count


@inlined
def add_up_to(wanted: float, count: int, energy: Doubles, threshold: float) -> None:
    """Give what the layer's energy still lacks to its hits, by the squares of their energies.

    A factor would do, too, but smear narrow peaks, as that of a MIP; so most goes to a few hits
    with much energy.
    """
    total, square = 0.0, 0.0
    for k in range(count):
        total += energy[k]
        square += energy[k] ** 2
    lacking = (wanted - total) / square
    total = 0.0
    for k in range(count):
        energy[k] *= max(1.0 + lacking * energy[k], LEAST_FACTOR)
        total += energy[k]
    for k in range(count):
        energy[k] = max(energy[k] * (wanted / total), threshold)


@inlined
def _place(k: int, found: Found, x: Doubles, y: Doubles, centre: tuple[float, float]) -> None:
    cell = found.hit[k]
    found.x[k] = x[cell] - centre[0]
    found.y[k] = y[cell] - centre[1]


@inlined
def _emit(count: int, sites: Sites, found: Found, out_place: Integers, out: Array) -> None:
    """The hits of a layer in the order of their cells; spends ``sites.boost``."""
    for k in range(count):
        sites.boost[found.hit[k]] = found.energy[k]
    written = 0
    words = sites.used.view(np.uint64)
    for word in range(words.shape[0]):
        if words[word] == 0:
            continue
        for cell in range(8 * word, 8 * word + 8):
            if sites.used[cell] == 1:
                out_place[written] = cell
                out[written] = sites.boost[cell]
                written += 1


@compiled
def _spread(decoded: Array, group: Integers, offset: Array, logits: Array) -> None:
    """What the decoder says of groups becomes the cells' logits."""
    for cell in range(logits.shape[0]):
        logits[cell] = decoded[group[cell]] + offset[cell]


@compiled
def _to_grid(place: Array, steps: np.float32) -> None:
    """Places on the grid of spectra from what is said of them."""
    for cell in range(place.shape[0]):
        place[cell] = steps * sigmoid(place[cell])


@compiled
def fill_layers(
    rows: Rows,
    layers: Layers,
    spectra: Spectra,
    first: Integers,
    found: Integers,
    out_place: Integers,
    out: Array,
) -> None:
    """The cells of many layers of many showers.

    Args:
        rows: the layers to fill.
        layers: what the layers are like.
        spectra: the tabulated spectra.
        first: (rows,) where the results of each row begin.
        found: (rows,) result: how many hits there are.
        out_place: result: hit places of the layer, rising.
        out: result: their energies (MeV), float32.
    """
    groups = rows.decoded.shape[1] // 3
    cells = layers.beside.shape[1]
    sites = empty_sites(cells)
    words = np.empty(2, dtype=np.uint64)
    logits = np.empty(cells, dtype=np.float32)
    drawn, bath = _empty_found(cells), empty_bath(cells)
    said = Places(np.empty(cells, dtype=np.float32), np.empty(cells, dtype=np.float32))
    for row in np.argsort(rows.layer, kind="mergesort"):  # what is known of a layer stays near
        number, decoded, numbers = rows.layer[row], rows.decoded[row], rows.numbers[row]
        seed(words, rows.keys[row], number + 1)
        low, high = rows.begin[row], rows.begin[row] + cells
        group = layers.group[low:high]
        offset = layers.offset[number, :, low:high]
        _spread(decoded, group, offset[0], logits)
        look(sites, logits, layers.spill[number, low:high])
        _spread(decoded[groups : 2 * groups], group, offset[1], said.a)
        _spread(decoded[2 * groups :], group, offset[2], said.b)
        _to_grid(said.a, np.float32(spectra.grid - 1))
        _to_grid(said.b, np.float32(spectra.grid - 1))
        count = _fill_layer(
            sites, said, rows.hits[row], numbers, layers, layers.x[number, low:high],
            layers.y[number, low:high], layers.beside[number], spectra, words, drawn, bath,
        )  # fmt: skip
        found[row] = count
        _emit(count, sites, drawn, out_place[first[row] :], out[first[row] :])
