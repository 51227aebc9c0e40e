"""The floor: what the figures are when both samples are Geant4.

One half of the reference is judged against the other. A generator cannot be told from the
reference by a figure that lies near its floor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_SHOWERS = 4


def halves(energy: ArrayLike, seed: int = 0) -> NDArray[np.bool_] | None:
    """A seeded random split into two halves with the same incident energies, as a mask (n,).

    Showers are paired with their neighbours in incident energy (MeV) and a coin decides which of a
    pair goes where: as between a reference and showers generated with its energies, no difference
    of the spectra hides what the showers do. None when n < 4; of an odd number the highest energy
    goes into the first half (False).
    """
    values = np.asarray(energy, dtype=np.float64)
    n = len(values)
    if n < MIN_SHOWERS:
        return None
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    order = order[np.argsort(values[order], kind="stable")]
    coin = rng.integers(0, 2, n // 2)
    mask = np.zeros(n, dtype=np.bool_)
    mask[order[2 * np.arange(n // 2) + coin]] = True
    return mask
