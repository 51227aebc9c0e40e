"""Means and widths of a quantity in two samples, and their differences in standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.validate.observables import Floats

MIN_ENTRIES = 4


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of n numbers, with their statistical errors."""

    mean: float
    mean_error: float
    width: float
    width_error: float


def spread(values: Floats) -> Spread | None:
    """Mean +- s / sqrt(n), and s +- its error; None for fewer than 4 or constant values.

    The variance of s^2 is (m4 - s^4 (n - 3) / (n - 1)) / n with m4 the fourth central moment, so
    the error of s is its root over 2 s: right for any distribution (a Gaussian: s / sqrt(2 n)).
    """
    n = len(values)
    if n < MIN_ENTRIES:
        return None
    mean = float(values.mean())
    from_mean = values - mean
    variance = float((from_mean**2).sum() / (n - 1))
    scale = float(np.abs(values).max())
    if variance <= (1e-9 * scale) ** 2:
        return None
    fourth = float((from_mean**4).mean())
    of_variance = max((fourth - variance**2 * (n - 3) / (n - 1)) / n, 0.0)
    width = float(np.sqrt(variance))
    return Spread(mean, width / np.sqrt(n), width, float(np.sqrt(of_variance)) / (2 * width))


def pull(reference: float, generated: float, *errors: float) -> float | None:
    """(generated - reference) / root of the sum of squared errors; None without an error."""
    error = float(np.sqrt(sum(e**2 for e in errors)))
    return (generated - reference) / error if error > 0 else None
