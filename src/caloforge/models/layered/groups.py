"""Groups of cells that the decoder describes together: far from the axis one number does for many.

Near the axis every cell is a group of its own; far out a group is a sector of a ring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.grid import LayerGrid

RADII = (8.3, 10.5, 13.5, 18.0, 25.0)
"""Radii in cells: inside the first every cell is alone, between and beyond are the rings."""

SECTORS = 16


def groups_of(grid: LayerGrid) -> NDArray[np.int64]:
    """The group (C,) of every cell; all alone where layers are cut differently."""
    cells = grid.number.shape[1]
    first = np.stack([grid.x[0], grid.y[0]])
    same = all(np.allclose(np.stack([grid.x[k], grid.y[k]]), first) for k in range(len(grid.x)))
    if not same or (grid.number < 0).any():
        return np.arange(cells)
    radius = np.hypot(*first)
    ring = np.searchsorted(RADII, radius)
    sector = np.round(np.arctan2(first[1], first[0]) / (2 * np.pi) * SECTORS) % SECTORS
    alone = np.where(ring == 0, np.arange(cells), cells + ring * SECTORS + sector)
    return np.asarray(np.unique(alone, return_inverse=True)[1].ravel(), dtype=np.int64)
