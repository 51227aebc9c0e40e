"""Showers with some of their hits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Showers


def keep_hits(
    showers: Showers,
    kept: NDArray[np.bool_],
    *,
    cell: NDArray[Any] | None = None,
    energy: NDArray[Any] | None = None,
    calorimeter: Calorimeter | None = None,
    incident: Incident | None = None,
) -> Showers:
    """Only the ``kept`` hits (a mask); what is not given stays as it is.

    Args:
        showers: the showers.
        kept: (hits,) mask.
        cell: (hits,) new cell numbers, in the same order inside every shower.
        energy: (hits,) new energies (MeV).
        calorimeter: what the new cell numbers refer to.
        incident: the new incident table.
    """
    before = np.concatenate([[0], np.cumsum(kept)])
    return Showers(
        calorimeter or showers.calorimeter,
        incident or showers.incident,
        before[showers.offset.astype(np.int64)],
        (showers.cell if cell is None else cell)[kept],
        (showers.energy if energy is None else energy)[kept],
        showers.provenance,
    )


def count_outside(showers: Showers, kept: NDArray[np.bool_]) -> tuple[float, int]:
    """Energy (MeV) of the hits that are not kept, and the number of showers that had any."""
    lost = ~kept
    touched = np.unique(showers.hit_shower[lost])
    return float(showers.energy[lost].sum(dtype=np.float64)), len(touched)
