"""Spots of energy around the shower axis, and the cells they fall into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.simulate.gflash.axis import Axes
from caloforge.simulate.gflash.depth import Depth

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Singles = NDArray[np.float32]

_LARGEST = np.float32(1.0 - 1e-6)


@dataclass(frozen=True)
class Spots:
    """Spots of one shower: transverse position (mm), the piece they fall into, energy (MeV)."""

    x: Singles
    y: Singles
    piece: Integers
    energy: Floats


def radii(
    piece: Integers, core: Floats, tail: Floats, weight: Floats, random: np.random.Generator
) -> Singles:
    """Radii (mm) of spots in the given pieces: r = R sqrt(v / (1 - v)), R of core or tail.

    One random number u serves twice: u < p chooses the core, and u / p is uniform again.
    """
    u = random.random(len(piece), dtype=np.float32)
    p = weight.astype(np.float32)[piece]
    inner = u < p
    low = np.where(inner, np.float32(0), p)
    width = np.where(inner, p, 1 - p)
    v = np.minimum((u - low) / width, _LARGEST)
    radius = np.where(inner, core.astype(np.float32)[piece], tail.astype(np.float32)[piece])
    return np.asarray(radius * np.sqrt(v / (1 - v)))


def inclined(
    depth: Depth,
    piece: Integers,
    along: Singles,
    across: Singles,
    lines: Axes,
    k: int,
    start: Floats,
) -> tuple[Singles, Singles, Integers]:
    """Where the spots around an inclined axis fall: x, y at the readout depth, and the piece.

    ``along`` and ``across`` are the offsets (mm) from line ``k`` of ``lines`` in its transverse
    plane, in and out of the plane of incidence; ``start`` (0 to 1) says where in its tile a spot
    sits on the axis. Spots outside the depth of the stacks get the piece -1.
    """
    nx, ny, nz = lines.direction[k]
    lean = np.hypot(nx, ny)
    hx, hy = nx / lean, ny / lean
    z = depth.piece_low[piece] + start * (depth.piece_high - depth.piece_low)[piece]
    x = lines.x[k] + z * nx / nz - along * nz * hx + across * hy
    y = lines.y[k] + z * ny / nz - along * nz * hy - across * hx
    z = z + along * lean
    found = np.searchsorted(depth.piece_low, z, side="right") - 1
    found = np.where(z < depth.piece_high[-1], found, -1)
    shift = (depth.piece_z[found] - z) / nz
    return (
        np.asarray(x + shift * nx, dtype=np.float32),
        np.asarray(y + shift * ny, dtype=np.float32),
        np.asarray(found, dtype=np.int64),
    )


class Readout:
    """Cells of a calorimeter by layer and position."""

    def __init__(self, calorimeter: Calorimeter, depth: Depth) -> None:
        self._layers = calorimeter.layers
        self._uniform = calorimeter.grid_shape is not None
        self._offset = calorimeter.layer_offset
        self._n_cells = calorimeter.n_cells
        self._piece_layer = depth.piece_layer

    def cells(self, spots: Spots) -> tuple[Integers, Floats]:
        """Cells that were hit, increasing, and their energies; what falls outside is lost."""
        layer = np.where(spots.piece >= 0, self._piece_layer[spots.piece], -1)
        cell = self._locate(layer, spots.x.astype(np.float64), spots.y.astype(np.float64))
        inside = cell >= 0
        cell, energy = cell[inside], spots.energy[inside]
        if self._n_cells > 1 << 20:
            found, inverse = np.unique(cell, return_inverse=True)
            sums = np.bincount(inverse, energy, len(found))
        else:
            found = np.sort(cell)
            found = found[np.diff(found, prepend=-1) > 0]
            sums = np.bincount(cell, energy, self._n_cells)[found]
        return found, np.asarray(sums, dtype=np.float64)

    def _locate(self, layer: Integers, x: Floats, y: Floats) -> Integers:
        if self._uniform:
            local = self._layers[0].segmentation.locate(x, y)
        else:
            local = np.full(len(x), -1, dtype=np.int64)
            for number in np.unique(layer[layer >= 0]):
                chosen = np.flatnonzero(layer == number)
                grid = self._layers[number].segmentation
                local[chosen] = grid.locate(x[chosen], y[chosen])
        return np.where((local >= 0) & (layer >= 0), local + self._offset[layer], -1)
