"""The compiled loops of the loader; they hold no lock, so threads run them side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def _first_bad(cells: NDArray[Any], energies: NDArray[Any], n_cells: int) -> int:
    """The first bad hit of a shower that has one."""
    before = np.int64(-1)
    for k in range(len(cells)):
        here, value = np.int64(cells[k]), energies[k]
        if here <= before or here >= n_cells or not 0 < value < np.inf:
            return k
        before = here
    return len(cells) - 1


@compiled
def first_bad_hit(
    first: Ints, last: Ints, cell: NDArray[Any], energy: NDArray[Any], n_cells: int
) -> int:
    """The first hit that cannot be; -1 when all are good.

    Inside a shower the cells must increase strictly and exist; energies must be finite and
    positive.
    """
    for shower in range(len(first)):
        begin = first[shower]
        cells, energies = cell[begin : last[shower]], energy[begin : last[shower]]
        bad = 0  # counted without branches, which vectorises
        for k in range(len(cells) - 1):
            bad += cells[k + 1] <= cells[k]
        for k in range(len(energies)):
            bad += not (energies[k] > 0)
        for k in range(len(energies)):
            bad += not (energies[k] < np.float32(np.inf))
        if len(cells) and (bad or cells[-1] >= n_cells):
            return int(begin + _first_bad(cells, energies, n_cells))
    return -1


@compiled
def scatter(
    rows: Ints,
    first: Ints,
    last: Ints,
    cell: NDArray[Any],
    energy: NDArray[Any],
    out: NDArray[np.float32],
) -> None:
    """Put the hits of showers ``rows`` into ``out`` (len(rows), n_cells); the rest is 0."""
    for number in range(len(rows)):
        image = out[number]
        image[:] = 0.0
        shower = rows[number]
        for hit in range(first[shower], last[shower]):
            image[cell[hit]] = energy[hit]
