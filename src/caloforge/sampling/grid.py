"""The cells of every layer side by side: shape (layers, cells of the largest layer)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.sampling.arrays import Doubles

RINGS = 24
"""Rings around the middle of a layer, a cell wide; the last has all cells beyond."""


@dataclass(frozen=True)
class LayerGrid:
    """Where the cells of the layers are.

    ``number`` (L, C) cell numbers, -1 where a layer has fewer cells than the largest; ``x``, ``y``
    (L, C) centres in units of ``pitch`` (L,) mm, the mean distance of neighbouring cells;
    ``beside`` (L, C, 4) places of the cells that share a side, -1 where there is none.
    """

    number: NDArray[np.int64]
    x: Doubles
    y: Doubles
    pitch: Doubles
    beside: NDArray[np.int64]

    @classmethod
    def of(cls, calorimeter: Calorimeter) -> LayerGrid:
        """The grid of a calorimeter."""
        offset = calorimeter.layer_offset
        sizes = np.diff(offset)
        position = calorimeter.cell_positions
        place = np.arange(sizes.max())
        number = np.where(place < sizes[:, None], offset[:-1, None] + place, -1)
        x, y = (np.where(number >= 0, position[number, axis], 0.0) for axis in (0, 1))
        spans = np.ptp(x, axis=1) * np.ptp(y, axis=1)
        pitch = np.sqrt(np.maximum(spans, 1e-6) / np.maximum((np.sqrt(sizes) - 1) ** 2, 1.0))
        beside = np.full((*number.shape, 4), -1)
        for layer, size in enumerate(sizes):
            beside[layer, :size] = calorimeter.layers[layer].segmentation.beside()
        return cls(number, x / pitch[:, None], y / pitch[:, None], pitch, beside)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Cells of every layer (L,)."""
        return np.asarray((self.number >= 0).sum(axis=1), dtype=np.int64)

    @property
    def ring(self) -> NDArray[np.int64]:
        """Ring of every cell (L, C)."""
        return np.minimum(np.hypot(self.x, self.y).astype(np.int64), RINGS - 1)
