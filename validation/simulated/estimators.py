"""Numbers with statistical errors: means, resolutions, fits, comparisons of two samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

Floats = NDArray[np.float64]

TRUNCATED = 0.98485
"""Rms of a Gaussian inside three times that rms, in units of its sigma."""


@dataclass(frozen=True)
class Value:
    """A number and its statistical error."""

    value: float
    error: float

    def __str__(self) -> str:
        if not np.isfinite(self.error) or self.error <= 0:
            return f"{self.value:.4g}"
        digits = max(0, 1 - int(np.floor(np.log10(self.error))))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"

    def __add__(self, other: Value) -> Value:
        return Value(self.value + other.value, float(np.hypot(self.error, other.error)))

    def __sub__(self, other: Value) -> Value:
        return self + other * -1.0

    def __mul__(self, factor: float) -> Value:
        return Value(self.value * factor, abs(self.error * factor))

    def __truediv__(self, other: Value) -> Value:
        ratio = self.value / other.value
        relative = np.hypot(self.error / self.value, other.error / other.value)
        return Value(ratio, float(abs(ratio) * relative))

    def pull(self, expected: float) -> float:
        """Distance from ``expected`` in errors."""
        return (self.value - expected) / self.error


def mean(values: Floats) -> Value:
    """Mean and its error."""
    return Value(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def share(passed: NDArray[np.bool_]) -> Value:
    """Share of True, with the binomial error."""
    p = float(passed.mean())
    return Value(p, float(np.sqrt(max(p * (1 - p), 1 / len(passed)) / len(passed))))


def median(values: Floats, seed: int = 0, resamples: int = 200) -> Value:
    """Median, with a bootstrap error."""
    rows = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    return Value(float(np.median(values)), float(np.median(values[rows], axis=1).std()))


def ratio_of_sums(top: Floats, bottom: Floats) -> Value:
    """sum(top) / sum(bottom) over showers, with the error of their joint fluctuation."""
    ratio = float(top.sum() / bottom.sum())
    spread = float((top - ratio * bottom).std(ddof=1))
    return Value(ratio, spread / (np.sqrt(len(top)) * abs(float(bottom.mean()))))


# -------------------------------------------------------------------- resolution


def plain_resolution(values: Floats) -> Value:
    """Rms / mean; the error holds for any shape of the distribution."""
    deviation = values - values.mean()
    variance = float((deviation**2).mean())
    excess = max(float((deviation**4).mean()) / variance**2 - 1.0, 0.0)
    found = float(values.std(ddof=1) / values.mean())
    return Value(found, found * float(np.sqrt(excess / (4 * len(values)))))


def robust_resolution(values: Floats) -> Value:
    """Sigma / mean of the showers within three rms of the mean, repeated until no more leave.

    Corrected for the cut, so that it is the sigma of a Gaussian.
    """
    kept = values
    while True:
        inside = np.abs(kept - kept.mean()) <= 3 * kept.std(ddof=1)
        if inside.all():
            break
        kept = kept[inside]
    found = float(kept.std(ddof=1) / kept.mean())
    found = found / TRUNCATED if len(kept) < len(values) else found
    return Value(found, found / float(np.sqrt(2 * (len(kept) - 1))))


def linear_sum(energy: Floats, a: float, c: float) -> Floats:
    """a / sqrt(E) + c."""
    return np.asarray(a / np.sqrt(energy) + c)


def quadrature(energy: Floats, a: float, c_squared: float) -> Floats:
    """sqrt(a^2 / E + c^2); c^2 may come out below zero where there is no constant term."""
    return np.asarray(np.sqrt(np.maximum(a**2 / energy + c_squared, 1e-12)))


def root(squared: Value) -> Value | str:
    """The constant term from its square; an upper limit (95 %) where it is compatible with 0."""
    if squared.value > 2 * squared.error:
        value = float(np.sqrt(squared.value))
        return Value(value, squared.error / (2 * value))
    return f"< {np.sqrt(max(squared.value, 0.0) + 1.645 * squared.error):.2f}"


@dataclass(frozen=True)
class Fit:
    """Two parameters of a least-squares fit, and how well it describes the points."""

    first: Value
    second: Value
    chi2: float
    ndf: int


def fit(
    form: Callable[[Floats, float, float], Floats],
    x: Floats,
    points: Sequence[Value],
    start: tuple[float, float] = (1.0, 1.0),
) -> Fit:
    """Fit ``form(x, first, second)`` to points with errors."""
    y = np.array([point.value for point in points])
    error = np.array([point.error for point in points])
    found, covariance = curve_fit(form, x, y, start, error, absolute_sigma=True)
    deviation = (y - form(x, *found)) / error
    first, second = (
        Value(float(value), float(sigma))
        for value, sigma in zip(found, np.sqrt(np.diag(covariance)), strict=True)
    )
    return Fit(first, second, float((deviation**2).sum()), len(x) - 2)


def straight(x: Floats, slope: float, constant: float) -> Floats:
    """slope * x + constant."""
    return np.asarray(slope * x + constant)


# -------------------------------------------------------------------- two samples


def holm(p_values: Sequence[float]) -> Floats:
    """p-values corrected for their number (S. Holm, Scand. J. Statist. 6 (1979) 65)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(scaled, 1.0)
    return corrected


def counts_chi2(first: Floats, second: Floats) -> tuple[float, int]:
    """chi^2 of the difference of two mean vectors (n, bins), and its degrees of freedom.

    With the covariance from shower to shower: bins of one shower fluctuate together (Hotelling).
    """
    difference = first.mean(axis=0) - second.mean(axis=0)
    covariance: Any = sum(np.cov(part, rowvar=False) / len(part) for part in (first, second))
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    inverse = np.linalg.pinv(covariance, hermitian=True)
    return float(difference @ inverse @ difference), rank
