"""Pictures of showers: cell energies spread over square pixels, for any segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.observables import Floats
from caloforge.validate.profiles import MAX_BINS, cell_sizes, extent


def pixel_edges(calorimeter: Calorimeter, axis: str) -> Floats:
    """Edges (mm) of the pixels along 'x' or 'y': as fine as the finest layer, at most 100."""
    low, high = extent(calorimeter, axis)
    bins = round((high - low) / min(cell_sizes(calorimeter, axis)))
    return np.linspace(low, high, int(np.clip(bins, 1, MAX_BINS)) + 1)


class Raster:
    """The pixels of a calorimeter: x and y in equal steps, one slice per layer.

    A cell's energy is shared evenly by the pixels whose middle it holds; a cell that holds none
    gives all to the pixel nearest to its own middle. No energy is lost.
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        self.x_edges = pixel_edges(calorimeter, "x")
        self.y_edges = pixel_edges(calorimeter, "y")
        layers = calorimeter.layers
        self.z_edges = np.array(
            [*(layer.z for layer in layers), layers[-1].z + layers[-1].thickness]
        )
        x, y = (0.5 * (e[1:] + e[:-1]) for e in (self.x_edges, self.y_edges))
        grid_x, grid_y = (g.ravel() for g in np.meshgrid(x, y, indexing="ij"))
        cells, pixels = [], []
        for number, layer in enumerate(layers):
            local = layer.segmentation.locate(grid_x, grid_y)
            inside = np.flatnonzero(local >= 0)
            offset = int(calorimeter.layer_offset[number])
            cells.append(local[inside] + offset)
            pixels.append(inside)
            missing = np.setdiff1d(np.arange(layer.n_cells), local[inside])
            centre = calorimeter.cell_positions[offset + missing]
            i = np.clip(np.searchsorted(self.x_edges, centre[:, 0]) - 1, 0, len(x) - 1)
            j = np.clip(np.searchsorted(self.y_edges, centre[:, 1]) - 1, 0, len(y) - 1)
            cells.append(offset + missing)
            pixels.append(i * len(y) + j)
        self.cell: NDArray[np.int64] = np.concatenate(cells)
        pixel = np.concatenate(pixels)
        self.weight: Floats = 1.0 / np.bincount(self.cell, minlength=calorimeter.n_cells)[self.cell]
        self._front: NDArray[np.int64] = pixel
        self._side: NDArray[np.int64] = calorimeter.cell_layer[self.cell] * len(x) + pixel // len(y)
        self.shape = (len(layers), len(x), len(y))

    def side(self, cells: Floats) -> Floats:
        """Energy per (x, layer), summed over y; ``cells`` has one energy per cell."""
        layers, nx, _ = self.shape
        flat = np.bincount(
            self._side, weights=cells[self.cell] * self.weight, minlength=layers * nx
        )
        return np.asarray(flat.reshape(layers, nx).T)

    def front(self, cells: Floats) -> Floats:
        """Energy per (y, x), summed over the layers."""
        _, nx, ny = self.shape
        flat = np.bincount(self._front, weights=cells[self.cell] * self.weight, minlength=nx * ny)
        return np.asarray(flat.reshape(nx, ny).T)
