"""Distance between shower shapes: the Hellinger distance of the normalised energies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.showers import Showers

BLOCK = 256


def _roots(showers: Showers) -> NDArray[np.float32]:
    """sqrt(e / Etot) of every hit."""
    total = showers.total_energy[showers.hit_shower]
    return np.sqrt(showers.energy / total).astype(np.float32)


def _sparse(showers: Showers) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(showers), showers.calorimeter.n_cells)
    return csr_matrix(
        (_roots(showers), showers.cell.astype(np.int64), showers.offset.astype(np.int64)), shape
    )


def _from_overlap(overlap: NDArray[Any]) -> Floats:
    return np.asarray(np.sqrt(np.clip(1.0 - overlap.astype(np.float64), 0.0, 1.0)))


def hellinger(first: Showers, second: Showers) -> Floats:
    """Distances between all showers of two samples: shape (n, m), from 0 (same) to 1 (disjoint).

    d = sqrt(1 - sum_cells sqrt(p q)), p and q the cell energies over the shower's total: a
    rescaled copy has distance 0. Rounding limits it to about 5e-4. Showers must hold hits.
    """
    right = _sparse(second)
    parts = [(right @ _sparse(block).toarray().T).T for block in first.batches(BLOCK) if len(block)]
    return _from_overlap(np.concatenate(parts))


def nearest(queries: Showers, training: Showers) -> tuple[Floats, NDArray[np.int64]]:
    """For every query shower its distance to the nearest training shower, and which one it is."""
    right = _sparse(training)
    distances, numbers = [], []
    for block in queries.batches(BLOCK):
        overlap = right @ _sparse(block).toarray().T
        best = overlap.argmax(axis=0)
        numbers.append(best)
        distances.append(overlap[best, np.arange(overlap.shape[1])])
    return _from_overlap(np.concatenate(distances)), np.concatenate(numbers).astype(np.int64)
