"""Does an exported file make the showers that torch makes?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ModelError

EXACT = 1e-4
"""Largest relative difference of a cell where the file computes as torch does."""

SINGLE = 1e-2
"""The same where the engine computes in float32 what torch computes in float64: sums of large terms
that nearly cancel lose a few digits. The mean is about 1e-5."""


def largest_difference(
    found: NDArray[np.floating[Any]], expected: NDArray[np.floating[Any]], least: float
) -> float:
    """Largest relative difference of two showers' cells (same shape, MeV).

    Args:
        found: of the exported file.
        expected: of torch.
        least: MeV; cells below it on both sides do not count.
    """
    limit = max(least, 1e-6)
    both = (expected > limit * (1 + EXACT)) | (found > limit * (1 + EXACT))
    difference = np.abs(found - expected)[both] / np.maximum(expected, limit)[both]
    return float(difference.max()) if difference.size else 0.0


def require_parity(difference: float, allowed: float, what: str) -> None:
    """Raise ModelError if cells differ by more than allowed; NaN is a difference, too."""
    if not difference <= allowed:
        raise ModelError(
            f"{what} differs from torch by {difference:.1e} relative (allowed {allowed:.0e}); "
            "report it with your torch version"
        )
