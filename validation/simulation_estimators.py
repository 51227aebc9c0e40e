"""Numbers with statistical errors from simulated showers: what simulation_figures.py is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from caloforge.geometry import Calorimeter, slabs_of
from caloforge.showers import Showers
from caloforge.validate import layer_energy

Floats = NDArray[np.float64]

PI0_MASS = 134.977
"""MeV, PDG."""
RADIATION_LENGTH = {
    "G4_W": 3.504,
    "G4_Si": 93.70,
    "G4_AIR": 3.039e5,
    "G4_Pb": 5.612,
    "G4_lAr": 140.0,
    "G4_STAINLESS-STEEL": 17.4,
    "G4_POLYSTYRENE": 413.1,
}
"""mm, PDG."""
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


def quadrature(energy: Floats, a: float, c: float) -> Floats:
    """a / sqrt(E) and c added in quadrature."""
    return np.hypot(a / np.sqrt(energy), c)


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


# ------------------------------------------------------------------- longitudinal


def layer_depths(calorimeter: Calorimeter) -> Floats:
    """Depth (radiation lengths) of the middle of the active material of every layer."""
    weights = np.zeros(calorimeter.n_layers)
    sums = np.zeros(calorimeter.n_layers)
    depth = 0.0
    for slab in slabs_of(calorimeter):
        thickness = slab.thickness / RADIATION_LENGTH[slab.material]
        if slab.layer is not None:
            weights[slab.layer] += slab.thickness
            sums[slab.layer] += slab.thickness * (depth + thickness / 2)
        depth += thickness
    return np.asarray(sums / weights)


def peak(depth: Floats, profile: Floats, above: float = 0.5) -> Floats:
    """Position of the maximum of profiles (..., layers) by a fit of t^(a-1) exp(-b t).

    A linear fit of the logarithm to the layers that hold more than ``above`` of the largest of
    the mean profile; the maximum lies at (a - 1) / b.
    """
    rows = np.atleast_2d(profile)
    total = rows.mean(axis=0)
    chosen = total > above * total.max()
    t = depth[chosen]
    columns = np.column_stack([np.ones_like(t), np.log(t), -t])
    parameters = np.linalg.lstsq(columns, np.log(rows[:, chosen]).T, rcond=None)[0]
    return np.asarray(parameters[1] / parameters[2])


def shower_maximum(
    depth: Floats, energy: Floats, above: float = 0.5, seed: int = 0, resamples: int = 200
) -> Value:
    """Maximum of the mean longitudinal profile of showers (n, layers), with a bootstrap error."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(energy), np.full(len(energy), 1 / len(energy)), resamples)
    found = peak(depth, counts @ energy / len(energy), above)
    return Value(float(peak(depth, energy.mean(axis=0), above)[0]), float(found.std()))


def mean_depth(showers: Showers, depth: Floats) -> Floats:
    """Energy-weighted mean depth of every shower, in the units of ``depth`` (layers,)."""
    energy = layer_energy(showers)
    return np.asarray(energy @ depth / energy.sum(axis=1))


# ------------------------------------------------------------------------ lateral


def axis_moment(showers: Showers) -> tuple[Floats, Floats]:
    """Sum of e * (squared distance from the particle's line) and sum of e, per shower.

    For particles at normal incidence. MeV mm^2 and MeV.
    """
    position = showers.calorimeter.cell_positions[showers.cell]
    row, n = showers.hit_shower, len(showers)
    weights = showers.energy.astype(np.float64)
    squared = np.zeros(len(weights))
    for column, name in enumerate("xy"):
        centre = showers.incident[name] if name in showers.incident else np.zeros(n)
        squared += (position[:, column] - centre[row]) ** 2
    sums = np.bincount(row, weights * squared, minlength=n), np.bincount(row, weights, minlength=n)
    return sums[0].astype(np.float64), sums[1].astype(np.float64)


def images(showers: Showers) -> Floats:
    """Energies summed over the layers: (n, nx, ny), for a grid that is the same in all layers."""
    shape = showers.calorimeter.grid_shape
    if shape is None:
        raise ValueError(f"{showers.calorimeter.name}: the layers have different cells")
    _, nx, ny = shape
    _, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    keys = (showers.hit_shower * nx + i) * ny + j
    flat = np.bincount(keys, showers.energy.astype(np.float64), minlength=len(showers) * nx * ny)
    return flat.reshape(len(showers), nx, ny)


@dataclass(frozen=True)
class Pairs:
    """Two peaks per resolved shower: rows, distance (cells), share of the energy of the second."""

    row: NDArray[np.int64]
    distance: Floats
    share: Floats


def two_peaks(image: Floats, separation: float = 3.0, smallest: float = 0.02) -> Pairs:
    """Showers with two local maxima at least ``separation`` cells apart.

    A maximum exceeds its eight neighbours, and the 3 x 3 cells around it hold at least
    ``smallest`` of the shower. The second maximum is the one with the largest such sum far enough
    from the first; distances are those of the centres of the 3 x 3 cells.
    """
    blocks = _blocks(image)
    highest = blocks.max(axis=-1) <= blocks[..., 4]
    sums = blocks.sum(axis=-1)
    total = image.sum(axis=(1, 2))
    found: list[tuple[int, float, float]] = []
    for row in range(len(image)):
        i, j = np.nonzero(highest[row] & (sums[row] > smallest * total[row]))
        order = np.argsort(sums[row, i, j])[::-1]
        i, j = i[order], j[order]
        far = np.hypot(i - i[:1], j - j[:1]) >= separation
        if not far.any():
            continue
        second = int(np.argmax(far))
        places = [_centre(blocks[row, i[k], j[k]], i[k], j[k]) for k in (0, second)]
        parts = [float(sums[row, i[k], j[k]]) for k in (0, second)]
        distance = float(np.hypot(*(places[1] - places[0])))
        found.append((row, distance, parts[1] / sum(parts)))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Pairs(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def _blocks(image: Floats) -> Floats:
    """The 3 x 3 cells around every cell: (n, nx, ny, 9), the cell itself in the middle."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    nx, ny = image.shape[1:]
    return np.stack([wide[:, a : a + nx, b : b + ny] for a in range(3) for b in range(3)], axis=-1)


def _centre(block: Floats, i: int, j: int) -> Floats:
    steps = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)], dtype=np.float64)
    return np.asarray(np.array([i, j]) + block @ steps / block.sum())


def resolved_share(distance: float, smallest: float) -> float:
    """Share of pi0 -> 2 gamma with photons further apart than ``distance``, for an even decay.

    ``smallest`` is the distance of the symmetric decay. The energy share x is uniform and
    d = smallest / (2 sqrt(x (1 - x))).
    """
    return float(1 - np.sqrt(max(1 - (smallest / distance) ** 2, 0.0)))


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
