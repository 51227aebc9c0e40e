"""Showers from lists of hits: one list of cells and one of energies per shower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers


def showers_of_lists(
    path: Path,
    start: int,
    calorimeter: Calorimeter,
    incident: Incident,
    counts: NDArray[np.int64],
    cell: NDArray[np.int64],
    energy: NDArray[np.float64],
    provenance: Provenance,
) -> Showers:
    """Showers from flat lists; hits may come in any order, those in one cell are summed.

    Args:
        path: the file, named in errors.
        start: number of the first shower, named in errors.
        calorimeter: the cells.
        incident: the particles, n rows.
        counts: (n,) hits per shower.
        cell: (hits,) cell numbers.
        energy: (hits,) MeV.
        provenance: of the showers.

    Raises:
        ShowerError: names the first shower with a cell that does not exist or a bad energy.
    """
    shower = np.repeat(np.arange(len(counts)), counts)
    outside = (cell < 0) | (cell >= calorimeter.n_cells)
    if outside.any():
        hit = int(np.flatnonzero(outside)[0])
        raise ShowerError(
            f"{path}: shower {start + shower[hit]}: cell {cell[hit]} does not exist in "
            f"'{calorimeter.name}' ({calorimeter.n_cells} cells); use the right --detector"
        )
    bad = ~(np.isfinite(energy) & (energy >= 0))
    if bad.any():
        hit = int(np.flatnonzero(bad)[0])
        raise ShowerError(
            f"{path}: shower {start + shower[hit]}, cell {cell[hit]} holds {energy[hit]} MeV; "
            "energies must be finite and not negative"
        )
    return Showers.from_hits(calorimeter, incident, shower, cell, energy, provenance)


def same_counts(
    path: Path, start: int, names: tuple[str, str], a: NDArray[np.int64], b: NDArray[np.int64]
) -> None:
    """Refuse lists of one shower that differ in length.

    Raises:
        ShowerError: names the first such shower.
    """
    differing = np.flatnonzero(a != b)
    if len(differing):
        first = int(differing[0])
        raise ShowerError(
            f"{path}: shower {start + first} has {a[first]} entries in '{names[0]}' and "
            f"{b[first]} in '{names[1]}'; give one of each per hit"
        )
