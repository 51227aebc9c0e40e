"""The floor: what the figures are when both samples are Geant4.

One half of the reference is judged against the other. A generator cannot be told from the
reference by a figure that lies near its floor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def halves(n: int, seed: int = 0) -> NDArray[np.bool_] | None:
    """A seeded random split of n showers into two halves, as a mask; None when n < 4."""
    if n < 4:
        return None
    mask = np.zeros(n, dtype=np.bool_)
    mask[np.random.default_rng(seed).permutation(n)[: n // 2]] = True
    return mask
