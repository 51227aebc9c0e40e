"""Do two engines make the same showers?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 64
"""Showers that are compared. An engine may be wrong in some rows of large batches alone: OpenVINO
2026.4 was, from the 26th shower on, as a detector has 25 layers."""

SINGLE = 1e-2
"""Largest relative difference of a cell where an engine computes in float32 what another computes
in float64: sums of large terms that nearly cancel lose a few digits. The mean is about 1e-5."""

RARE = 2e-3
"""Share of the cells of a batch that may differ: a draw at the edge of two outcomes falls as the
last digit says, and moves the rest of its layer. One wrong shower is 1 / BATCH, eight times that.
"""


def relative_differences(
    found: NDArray[np.floating[Any]], expected: NDArray[np.floating[Any]], least: float
) -> NDArray[np.floating[Any]]:
    """Relative differences of two showers' cells (same shape, MeV), flat.

    Args:
        found: of the engine in question.
        expected: of the other.
        least: MeV; cells below it on both sides do not count.
    """
    both = (expected > least) | (found > least) | ~np.isfinite(found)
    apart: NDArray[np.floating[Any]] = (np.abs(found - expected) / np.maximum(expected, least))[
        both
    ]
    return apart


def share_apart(
    found: NDArray[np.floating[Any]],
    expected: NDArray[np.floating[Any]],
    least: float,
    allowed: float,
) -> float:
    """Share of the cells that differ by more than ``allowed``; NaN is a difference, too."""
    apart = ~(relative_differences(found, expected, max(least, 1e-6) * (1 + allowed)) <= allowed)
    return float(apart.mean()) if apart.size else 0.0
