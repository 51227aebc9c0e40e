"""The compiled loops over the hits; they hold no lock, so threads run them side by side.

A shower's hits are read three times while they lie in the cache: sums, central moments,
distances to the axis. The results go into two tables: ``out`` (fields, showers), rows as in
:data:`FIELDS`, and ``layers`` (fields, showers, layers), rows as in ``table.LAYER_FIELDS``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIELDS = (
    "total",
    "hits",
    "hits_above",
    "peak_energy",
    "peak_layer",
    *(f"peak_{axis}" for axis in "xyz"),
    *(f"mean_{axis}" for axis in "xyz"),
    *(f"width_{axis}" for axis in "xyz"),
    *(f"skewness_{axis}" for axis in "xyz"),
    *(f"kurtosis_{axis}" for axis in "xyz"),
    "slope_x",
    "slope_y",
    "radius_50",
    "radius_90",
)
TINY = 1e-16
FLAT = 1e-12
"""A variance (mm^2) below this is rounding: the shower has no width there."""


@compiled
def sums_of_hits(
    cells: NDArray[Any],
    energies: NDArray[Any],
    table: Any,
    cuts: NDArray[np.float32],
    out: Floats,
    layers: Floats,
    curve: Floats,
    second: Floats,
) -> None:
    """First sums of one shower: energies, counts, centres, the most energetic cells.

    ``out`` (fields,), ``layers`` (fields, layers) and ``curve`` (cuts - 1,) are its rows, zero
    before; the first cut is that of ``hits_above``. ``second`` is room for one value per layer.
    """
    layer, place, n_cells, _ = table
    second[:] = 0.0
    top, peak = np.float32(0.0), np.int64(-1)
    for k in range(len(cells)):
        cell, value = np.int64(cells[k]), energies[k]
        e, here = np.float64(value), layer[cell]
        out[0] += e
        layers[0, here] += e
        layers[1, here] += 1.0
        for axis in range(3):
            out[8 + axis] += e * place[cell, axis]
        layers[3, here] += e * place[cell, 0]
        layers[4, here] += e * place[cell, 1]
        layers[5, here] += e * place[cell, 3]
        if e > layers[2, here]:
            second[here] = layers[2, here]
            layers[2, here] = e
        elif e > second[here]:
            second[here] = e
        if value > top:
            top, peak = value, cell
        if value > cuts[0]:
            out[2] += 1.0
        for j in range(len(cuts) - 1):
            if value <= cuts[j + 1]:
                break
            curve[j] += 1.0
    out[1] = len(cells)
    for axis in range(3):
        out[8 + axis] /= out[0] + TINY
    if peak >= 0:
        out[3], out[4] = top, layer[peak]
        for axis in range(3):
            out[5 + axis] = place[peak, axis]
    for here in range(layers.shape[1]):
        first = layers[2, here]
        layers[2, here] = (first - second[here]) / (first + second[here] + TINY)
        layers[1, here] = 1.0 - layers[1, here] / n_cells[here]
        for axis in range(3):
            layers[3 + axis, here] /= layers[0, here] + TINY


@compiled
def central_moments(
    cells: NDArray[Any], energies: NDArray[Any], table: Any, out: Floats, layers: Floats
) -> None:
    """Widths, skewness, kurtosis and slopes of one shower, from its centres."""
    layer, place, _, _ = table
    total = out[0] + TINY
    m = np.zeros((3, 3))
    cross_x, cross_y = 0.0, 0.0
    for k in range(len(cells)):
        cell, e = np.int64(cells[k]), np.float64(energies[k])
        here = layer[cell]
        for axis in range(3):
            d = place[cell, axis] - out[8 + axis]
            square = d * d
            m[0, axis] += e * square
            m[1, axis] += e * square * d
            m[2, axis] += e * square * square
        dz = place[cell, 2] - out[10]
        cross_x += e * dz * (place[cell, 0] - out[8])
        cross_y += e * dz * (place[cell, 1] - out[9])
        for j in range(3):
            d = place[cell, 3 if j == 2 else j] - layers[3 + j, here]
            layers[6 + j, here] += e * d * d
    m /= total
    for axis in range(3):
        variance = m[0, axis]
        if variance > FLAT:
            out[11 + axis] = math.sqrt(variance)
            out[14 + axis] = m[1, axis] / variance**1.5
            out[17 + axis] = m[2, axis] / variance**2 - 3.0
    if m[0, 2] > FLAT:
        out[20] = cross_x / total / m[0, 2]
        out[21] = cross_y / total / m[0, 2]
    for here in range(layers.shape[1]):
        for j in range(3):
            variance = layers[6 + j, here] / (layers[0, here] + TINY)
            layers[6 + j, here] = math.sqrt(variance) if variance > FLAT else 0.0


@compiled
def distances_to_axis(cells: NDArray[Any], table: Any, out: Floats, distance: Floats) -> None:
    """Distance (mm) of every hit to the shower's axis; whole rings: to the calorimeter's."""
    layer, place, _, uncut = table
    sx, sy = out[20], out[21]
    norm = 1.0 + sx * sx + sy * sy
    for k in range(len(cells)):
        cell = np.int64(cells[k])
        if uncut[layer[cell]]:
            distance[k] = place[cell, 3]
            continue
        dz = place[cell, 2] - out[10]
        dx = place[cell, 0] - out[8] - sx * dz
        dy = place[cell, 1] - out[9] - sy * dz
        along = dx * sx + dy * sy
        distance[k] = math.sqrt(max(dx * dx + dy * dy - along * along / norm, 0.0))


@compiled
def weighted_quantile(values: Floats, weights: Floats, target: float) -> float:
    """The smallest value v with sum(weights of values <= v) >= target; reorders both arrays.

    Quickselect with a three-way partition: linear in the number of values, on average.
    """
    low, high, before = 0, len(values), 0.0
    found = 0.0
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high - 1]
        found = max(min(a, b), min(max(a, b), c))
        less, i, more = low, low, high
        w_less, w_same = 0.0, 0.0
        while i < more:
            v, w = values[i], weights[i]
            if v < found:
                values[i], weights[i] = values[less], weights[less]
                values[less], weights[less] = v, w
                w_less += w
                less += 1
                i += 1
            elif v > found:
                more -= 1
                values[i], weights[i] = values[more], weights[more]
                values[more], weights[more] = v, w
            else:
                w_same += w
                i += 1
        if before + w_less >= target:
            high = less
        elif before + w_less + w_same >= target:
            return float(found)
        else:
            before += w_less + w_same
            low = more
    return float(found)


@compiled
def fill_tables(
    offset: Ints,
    cell: NDArray[Any],
    energy: NDArray[Any],
    table: Any,
    cuts: NDArray[np.float32],
    out: Floats,
    layers: Floats,
    curve: Floats,
) -> None:
    """All sums of all showers; the three tables are zero before."""
    longest = np.int64(0)
    for shower in range(len(offset) - 1):
        longest = max(longest, offset[shower + 1] - offset[shower])
    distance, weight = np.empty(longest), np.empty(longest)
    row, second = np.empty(out.shape[0]), np.empty(layers.shape[2])
    for shower in range(len(offset) - 1):
        begin, end = offset[shower], offset[shower + 1]
        cells, energies = cell[begin:end], energy[begin:end]
        here = layers[:, shower]
        row[:] = 0.0
        sums_of_hits(cells, energies, table, cuts, row, here, curve[shower], second)
        central_moments(cells, energies, table, row, here)
        n = end - begin
        if n:
            distances_to_axis(cells, table, row, distance[:n])
            for k in range(n):
                weight[k] = energies[k]
            for j, share in enumerate((0.5, 0.9)):
                target = share * row[0] * (1.0 - 1e-12)
                row[22 + j] = weighted_quantile(distance[:n], weight[:n], target)
        out[:, shower] = row
