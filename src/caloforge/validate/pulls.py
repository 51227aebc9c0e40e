"""Means and widths of a quantity in two samples, and their differences in standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.observables import Floats

MIN_ENTRIES = 4


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of n numbers, with their statistical errors."""

    mean: float
    mean_error: float
    width: float
    width_error: float


def width_error(values: Floats) -> float:
    """Statistical error of the standard deviation s of two numbers or more.

    The variance of s^2 is (m4 - s^4 (n - 3) / (n - 1)) / n with m4 the fourth central moment; the
    error of s is its root over 2 s, right for any distribution (a Gaussian: s / sqrt(2 (n - 1))).
    0 for constant values.
    """
    n = len(values)
    from_mean = values - values.mean()
    variance = float((from_mean**2).sum() / (n - 1))
    if variance == 0:
        return 0.0
    fourth = float((from_mean**4).mean())
    of_variance = max((fourth - variance**2 * (n - 3) / (n - 1)) / n, 0.0)
    return float(np.sqrt(of_variance / variance)) / 2


def spread(values: Floats) -> Spread | None:
    """Mean +- s / sqrt(n), and s +- :func:`width_error`; None below 4 or for constant values."""
    n = len(values)
    if n < MIN_ENTRIES:
        return None
    width = float(values.std(ddof=1))
    if width <= 1e-9 * float(np.abs(values).max()):
        return None
    return Spread(float(values.mean()), width / np.sqrt(n), width, width_error(values))


def pull(reference: float, generated: float, *errors: float) -> float | None:
    """(generated - reference) / root of the sum of squared errors; None without an error."""
    error = float(np.sqrt(sum(e**2 for e in errors)))
    return (generated - reference) / error if error > 0 else None
