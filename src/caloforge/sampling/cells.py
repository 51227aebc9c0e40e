"""The cells of a layer, given the layer's numbers and what the decoder says of every cell.

1. Hits: independent, then exactly as many as wanted (:mod:`.hits`).
2. Swaps of hits with the cells' energies integrated out: a Metropolis chain whose target is the
   product of the odds and the Gaussian of the layer's moments, the energies of the hits being
   replaced by their means and variances.
3. Energies, hit after hit, those with the smallest variance first: each is drawn from its own
   spectrum times the Gaussian look-ahead of what is then left for the others. The
   covariance of the rest loses one rank-one term a hit, so its inverse is kept up to date by the
   Sherman-Morrison formula; the tilt is a Gaussian of one number, drawing and refusing is exact.
4. The sum of the energies is scaled to the layer's energy.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Array, Doubles, Flags, Integers, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.hits import draw_hits
from caloforge.sampling.moments import MOMENTS, basis, precision, quadratic, targets
from caloforge.sampling.random import find, seed, uniform
from caloforge.sampling.spectra import Spectra, draw_energy, draw_energy_near, draw_node

REFUSALS = 24
"""Refused energies of a hit before its spectrum is tilted bin by bin."""


@compiled
def _swap_hits(
    sweeps: float,
    count: int,
    cell: Integers,
    node: Integers,
    used: Flags,
    chance: Doubles,
    rising: Doubles,
    decoded: Array,
    spectra: Spectra,
    x: Doubles,
    y: Doubles,
    matrix: Doubles,
    left: Doubles,
    places: Doubles,
    words: Words,
) -> None:
    """Move hits to other cells, ``sweeps`` tries a hit; ``left`` is wanted minus expected."""
    new = np.empty(MOMENTS)
    after = np.empty(MOMENTS)
    before = quadratic(matrix, left)
    for _ in range(int(sweeps * count)):
        hit = int(uniform(words) * count)
        other = find(rising, uniform(words) * rising[-1])
        if used[other] == 1:
            continue
        if uniform(words) * (1.0 - chance[other]) > 1.0 - chance[cell[hit]]:
            continue
        other_node = draw_node(decoded[1, other], decoded[2, other], spectra.grid, words)
        basis(x[other], y[other], new)
        for a in range(MOMENTS):
            after[a] = (
                left[a]
                + spectra.mean[node[hit]] * places[hit, a]
                - spectra.mean[other_node] * new[a]
            )
        chi2 = quadratic(matrix, after)
        if chi2 <= before or uniform(words) < np.exp(-0.5 * (chi2 - before)):
            used[cell[hit]] = 0
            used[other] = 1
            cell[hit] = other
            node[hit] = other_node
            before = chi2
            for a in range(MOMENTS):
                left[a] = after[a]
                places[hit, a] = new[a]


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
        if uniform(words) < np.exp(-0.5 * weight * (drawn - centre) ** 2):
            return drawn
    return draw_energy_near(spectra, node, centre, weight, words)


@compiled
def _fill_layer(
    decoded: Array,
    wanted: int,
    numbers: Doubles,
    tolerance: Doubles,
    sweeps: float,
    threshold: float,
    x: Doubles,
    y: Doubles,
    spectra: Spectra,
    words: Words,
    out: Array,
) -> None:
    """Energies of the cells of one layer into ``out`` (cells,), which is zero before."""
    cells = decoded.shape[1]
    used = np.empty(cells, dtype=np.uint8)
    chance = np.empty(cells)
    sums = np.empty(cells)
    count = draw_hits(decoded[0], wanted, used, chance, sums, words)
    if count == 0:
        return
    cell = np.flatnonzero(used)
    node = np.empty(count, dtype=np.int64)
    energy = np.empty(count)
    left = np.empty(MOMENTS)
    spread = np.empty(MOMENTS)
    places = np.empty((count, MOMENTS))
    targets(numbers, tolerance, left, spread)
    near_x = x - numbers[1]
    near_y = y - numbers[2]
    for hit in range(count):
        node[hit] = draw_node(decoded[1, cell[hit]], decoded[2, cell[hit]], spectra.grid, words)
        basis(near_x[cell[hit]], near_y[cell[hit]], places[hit])
        for a in range(MOMENTS):
            left[a] -= spectra.mean[node[hit]] * places[hit, a]
    if count > 1:
        matrix = precision(spread, places, spectra.variance[node], count)
        _swap_hits(
            sweeps, count, cell, node, used, chance, sums, decoded, spectra, near_x, near_y,
            matrix, left, places, words,
        )  # fmt: skip
        matrix = precision(spread, places, spectra.variance[node], count)
        _draw_energies(count, node, spectra, matrix, left, places, energy, words)
    else:
        energy[0] = numbers[0]
    scale = numbers[0] / energy.sum()
    for hit in range(count):
        out[cell[hit]] = max(energy[hit] * scale, threshold)


@compiled
def fill_layers(
    decoded: Array,
    group: Integers,
    offset: Array,
    layer: Integers,
    hits: Integers,
    numbers: Doubles,
    tolerance: Doubles,
    sweeps: float,
    threshold: float,
    x: Doubles,
    y: Doubles,
    spectra: Spectra,
    keys: Words,
    out: Array,
) -> None:
    """The cells of many layers of many showers, one row each.

    Args:
        decoded: (rows, 3 groups) from the decoder: logit of a hit, and the place on the grid of
            spectra, for every group of cells.
        group: (cells,) the group of every cell.
        offset: (layers, 3, cells) added to what the decoder says.
        layer: (rows,) layer numbers.
        hits: (rows,) wanted hits, more than 0.
        numbers: (rows, 5) energy (MeV), centres and widths (cells).
        tolerance: (3,) of energy, centres and widths.
        sweeps: tries of a swap for every hit.
        threshold: least energy of a hit, MeV.
        x, y: (layers, cells) positions, in cells.
        spectra: the tabulated spectra.
        keys: (rows, 2) random key of the row's shower.
        out: (rows, cells) float32 zeros, filled with energies (MeV).
    """
    groups = decoded.shape[1] // 3
    cells = group.shape[0]
    for row in range(decoded.shape[0]):
        number = layer[row]
        words = np.empty(2, dtype=np.uint64)
        seed(words, keys[row], number + 1)
        mine = np.empty((3, cells), dtype=np.float32)
        for what in range(3):
            for cell in range(cells):
                mine[what, cell] = (
                    decoded[row, what * groups + group[cell]] + offset[number, what, cell]
                )
        _fill_layer(
            mine, hits[row], numbers[row], tolerance, sweeps, threshold, x[number], y[number],
            spectra, words, out[row],
        )  # fmt: skip
