"""The compiled loops of profiles and spectra; they hold no lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled

Floats = NDArray[np.float64]


@compiled
def add_profiles(
    offset: NDArray[np.int64],
    cell: NDArray[Any],
    energy: NDArray[Any],
    bins: NDArray[np.int32],
    first: Floats,
    second: Floats,
) -> None:
    """Add every shower's energy per bin, and its square, to ``first`` and ``second``.

    ``bins`` (n_cells, profiles) numbers the bins of all profiles in one row.
    """
    shower_sum = np.zeros(len(first))
    for shower in range(len(offset) - 1):
        shower_sum[:] = 0.0
        for k in range(offset[shower], offset[shower + 1]):
            e = np.float64(energy[k])
            for j in range(bins.shape[1]):
                shower_sum[bins[cell[k], j]] += e
        for b in range(len(first)):
            first[b] += shower_sum[b]
            second[b] += shower_sum[b] * shower_sum[b]


@compiled
def add_cells(cell: NDArray[Any], energy: NDArray[Any], first: Floats, second: Floats) -> None:
    """Add every hit's energy, and its square, to its cell."""
    for k in range(len(cell)):
        e = np.float64(energy[k])
        first[cell[k]] += e
        second[cell[k]] += e * e


@compiled
def count_in_bins(values: NDArray[np.float32], edges: Floats, counts: Floats) -> None:
    """Count values below the first edge, in [edge k, edge k + 1), and from the last edge on."""
    n = len(edges)
    for value in values:
        v = np.float64(value)
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if edges[middle] <= v:
                low = middle + 1
            else:
                high = middle
        if low == n and v == edges[n - 1]:
            low = n - 1
        counts[low] += 1.0
