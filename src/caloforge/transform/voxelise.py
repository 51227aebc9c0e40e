"""Points with energy become cells of a calorimeter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caloforge.errors import ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.transform.tally import Tally


def voxelise(
    calorimeter: Calorimeter,
    incident: Incident,
    shower: ArrayLike,
    position: ArrayLike,
    energy: ArrayLike,
    tally: Tally,
    provenance: Provenance | None = None,
) -> Showers:
    """Sum points into the cells that hold them; the energy of a shower is conserved.

    Args:
        calorimeter: the cells.
        incident: the particles, n rows.
        shower: (hits,) shower number of every point, 0 to n - 1.
        position: (hits, 3) x, y, z in mm in the calorimeter's frame.
        energy: (hits,) MeV, finite and not negative.
        tally: counts what lies outside every cell.
        provenance: of the showers.

    Raises:
        ShowerError: an energy or a position is not finite, or an energy is negative.
    """
    rows = np.asarray(shower, dtype=np.int64)
    points = np.asarray(position, dtype=np.float64).reshape(-1, 3)
    values = np.asarray(energy, dtype=np.float64)
    good = np.isfinite(values) & (values >= 0) & np.isfinite(points).all(axis=1)
    if not good.all():
        hit = int(np.flatnonzero(~good)[0])
        raise ShowerError(
            f"shower {int(rows[hit])}: a hit of {values[hit]} MeV at {points[hit].tolist()} mm; "
            "energies and positions must be finite, energies not negative"
        )
    cell = calorimeter.locate(*points.T)
    inside = cell >= 0
    lost = values[~inside]
    touched = len(np.unique(rows[~inside][lost > 0]))
    tally.add(float(values.sum()), float(lost.sum()), touched)
    return Showers.from_hits(
        calorimeter, incident, rows[inside], cell[inside], values[inside], provenance
    )
