"""The compiled way of rows through trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def add_leaves(
    rows: Floats,
    feature: Ints,
    threshold: Floats,
    left: Ints,
    right: Ints,
    value: Floats,
    root: Ints,
    column: Ints,
    out: Floats,
) -> None:
    """Add the value of every tree's leaf to ``out`` (n, outputs); see :class:`Forest`."""
    for row in range(len(rows)):
        for tree in range(len(root)):
            node = root[tree]
            while left[node] >= 0:
                below = rows[row, feature[node]] <= threshold[node]
                node = left[node] if below else right[node]
            out[row, column[tree]] += value[node]
