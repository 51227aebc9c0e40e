"""Hits that touch: one particle that crosses the side of a cell hits two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled
from caloforge.showers import Showers

Floats = NDArray[np.float64]


def hit_pairs(showers: Showers) -> Floats:
    """Pairs of hits with a common side in the same layer, per hit; shape (n,), 0 without hits.

    Cells that are drawn independently of each other have too few: a particle at an angle, or one
    that is near the side between two cells, hits both.
    """
    result = np.zeros(len(showers))
    if len(showers):
        beside = showers.calorimeter.cells_beside
        _count(showers.offset.astype(np.int64), showers.cell, showers.energy, beside, result)
    return result


@compiled
def _count(
    offset: NDArray[np.int64],
    cell: NDArray[Any],
    energy: NDArray[Any],
    beside: NDArray[np.int64],
    result: Floats,
) -> None:
    used = np.zeros(len(beside), dtype=np.uint8)
    for shower in range(len(result)):
        first, last = offset[shower], offset[shower + 1]
        hits, pairs = 0, 0
        for k in range(first, last):
            used[cell[k]] = energy[k] > 0
            hits += energy[k] > 0
        for k in range(first, last):
            if used[cell[k]]:
                for side in range(0, beside.shape[1], 2):  # every pair from one of its cells
                    other = beside[cell[k], side]
                    pairs += other >= 0 and used[other]
        for k in range(first, last):
            used[cell[k]] = 0
        if hits:
            result[shower] = pairs / hits
