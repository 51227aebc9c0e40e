"""Does an exported file make the showers that torch makes?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caloforge.errors import ModelError
from caloforge.export.example import example
from caloforge.models import ShowerModel
from caloforge.runtime.agreement import BATCH, RARE, relative_differences, share_apart

EXACT = 1e-4
"""Largest relative difference of a cell where the file computes as torch does."""

FEW = 3
"""Showers of which every cell must agree."""

Run = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""(B, C) conditions and (B, latent) noise -> (B, cells) MeV."""


def largest_difference(
    found: NDArray[np.floating[Any]], expected: NDArray[np.floating[Any]], least: float
) -> float:
    """Largest relative difference of two showers' cells (same shape, MeV).

    Args:
        found: of the exported file.
        expected: of torch.
        least: MeV; cells below it on both sides do not count.
    """
    limit = max(least, 1e-6) * (1 + EXACT)
    difference = relative_differences(found, expected, limit)
    return float(difference.max()) if difference.size else 0.0


def require_parity(difference: float, allowed: float, what: str) -> None:
    """Raise ModelError if cells differ by more than allowed; NaN is a difference, too."""
    if not difference <= allowed:
        raise ModelError(
            f"{what} differs from torch by {difference:.1e} relative (allowed {allowed:.0e}); "
            "report it with your torch version"
        )


def require_same(run: Run, model: ShowerModel, least: float, allowed: float, what: str) -> None:
    """A few showers must agree in every cell, those of a large batch in nearly all.

    Args:
        run: the exported file, in its engine.
        model: what torch has, in eval mode.
        least: MeV, the cell threshold.
        allowed: relative difference of a cell.
        what: was exported, for the message.

    Raises:
        ModelError: they do not.
    """
    for n in (FEW, BATCH):
        condition, noise = example(model, n)
        with torch.inference_mode():
            expected = model(condition, noise).numpy()
        found = run(condition.numpy(), noise.numpy())
        if n == FEW:
            require_parity(largest_difference(found, expected, least), allowed, what)
        elif (share := share_apart(found, expected, least, allowed)) > RARE:
            raise ModelError(
                f"{what} agrees with torch for {FEW} showers but not for {BATCH} at a time: "
                f"{100 * share:.2g} % of the cells differ (allowed {100 * RARE:.1g} %); the engine "
                "is at fault, use another target"
            )
