"""Structural similarity (SSIM) of showers as 3-D images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats
from caloforge.showers import Showers

PAIRS = 256
"""Pairs of showers of each kind at most."""

WINDOW = 7
K1, K2 = 0.01, 0.03
DATA_RANGES = (1.0, 1e-2, 1e-4, 1e-6)
"""Data ranges L, in GeV."""

TOLERANCE = 0.05
"""Largest relative difference of the incident energies of a pair."""

MEV = 1e-3
BATCH = 32


def window_of(shape: tuple[int, ...]) -> int | None:
    """Window of 7 cells, smaller (odd) for a grid with fewer along an axis; None below 3."""
    smallest = min(shape)
    width = min(WINDOW, smallest - (smallest + 1) % 2)
    return width if width >= 3 else None


def structural_similarity(
    first: NDArray[Any], second: NDArray[Any], data_ranges: tuple[float, ...], window: int = WINDOW
) -> Floats:
    """SSIM of pairs of 3-D images, both of shape (n, a, b, c); result (n, data ranges).

    Mean over all windows that lie inside the image of

        (2 m1 m2 + C1) (2 s12 + C2) / ((m1^2 + m2^2 + C1) (s1^2 + s2^2 + C2))

    with means m, sample variances s^2 and covariance s12 (over N - 1) of the ``window``^3 cells,
    C1 = (0.01 L)^2 and C2 = (0.03 L)^2 for a data range L in the unit of the images. 1 for equal
    images. Source: Z. Wang et al., IEEE TIP 13 (2004) 600; the same numbers as
    skimage.metrics.structural_similarity with its default window.
    """
    from scipy.ndimage import uniform_filter

    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    pad = (window - 1) // 2
    inner = (slice(None), *(slice(pad, length - pad) for length in x.shape[1:]))

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(uniform_filter(values, (1, window, window, window))[inner])

    sample = window**3 / (window**3 - 1.0)
    mean_x, mean_y = mean(x), mean(y)
    var_x = sample * (mean(x * x) - mean_x**2)
    var_y = sample * (mean(y * y) - mean_y**2)
    cov = sample * (mean(x * y) - mean_x * mean_y)
    result = []
    for data_range in data_ranges:
        c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
        top = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
        bottom = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
        result.append((top / bottom).reshape(len(x), -1).mean(axis=1))
    return np.stack(result, axis=1)


def _partners(energy: Floats, others: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """The row of ``others`` nearest to each energy, a random one of equals; -1 beyond 5 %."""
    order = rng.permutation(len(others))
    order = order[np.argsort(others[order], kind="stable")]
    ordered = others[order]
    right = np.clip(np.searchsorted(ordered, energy), 1, len(ordered) - 1)
    left = right - 1 if len(ordered) > 1 else np.zeros_like(right)
    right = np.minimum(right, len(ordered) - 1)
    nearest = np.where(
        np.abs(ordered[left] - energy) <= np.abs(ordered[right] - energy), left, right
    )
    first = np.searchsorted(ordered, ordered[nearest], side="left")
    last = np.searchsorted(ordered, ordered[nearest], side="right")
    rows = order[rng.integers(first, last)]
    close = np.abs(others[rows] - energy) <= TOLERANCE * energy
    return np.where(close, rows, -1)


def _pairs(
    reference: Showers, generated: Showers, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of reference showers, of their generated and of their reference partners."""
    order = rng.permutation(len(reference))
    count = min(PAIRS, len(order) // 2)
    chosen, rest = order[:count], order[count:]
    energy = reference.incident.energy
    gen = _partners(energy[chosen], generated.incident.energy, rng)
    ref = _partners(energy[chosen], energy[rest], rng)
    good = (gen >= 0) & (ref >= 0)
    return chosen[good], gen[good], rest[ref[good]]


def ssim(reference: Showers, generated: Showers, *, seed: int = 0) -> dict[str, Any] | None:
    """Structural similarity of generated and reference showers, beside that of the reference.

    At most 256 reference showers are each compared with the generated shower and with another
    reference shower of the nearest incident energies (within 5 %; of equal ones a random shower):
    :func:`structural_similarity` of the cell energies as 3-D images (layer, i, j) in GeV, the unit
    of 3DGAN, with windows of 7 cells along each axis. Small data ranges look at small energies.
    Angles and impact points are not matched; both kinds of pairs suffer alike.

    Returns:
        None unless every layer has the same cells, at least 3 along each axis. Otherwise
        ``pairs``, ``window`` and for each data range, '1e0' to '1e-6' GeV, the means over the pairs
        ``generated`` (generated with reference) and ``reference`` (reference with reference),
        their standard errors ``_error``, and ``value`` = generated - reference with its ``error``,
        smaller as the pairs share a shower. Near 0 generated showers are as similar to real ones
        as those among themselves. Figures are None without pairs, errors with fewer than two.

    Source: 3DGAN's validation (G. R. Khattak et al., Eur. Phys. J. C 82 (2022) 386) for the use of
    SSIM and the data ranges; the choice of pairs is this project's.
    """
    shape = reference.calorimeter.grid_shape
    window = None if shape is None else window_of(shape)
    if shape is None or window is None:
        return None
    empty: list[Floats] = [np.zeros((0, len(DATA_RANGES)))]
    values = {"generated": empty.copy(), "reference": empty.copy()}
    count = 0
    if len(reference) > 1 and len(generated):
        chosen, gen, ref = _pairs(reference, generated, np.random.default_rng(seed))
        count = len(chosen)
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            image = _images(reference, chosen[rows], shape)
            for key, sample, other in (
                ("generated", generated, gen[rows]),
                ("reference", reference, ref[rows]),
            ):
                partner = _images(sample, other, shape)
                values[key].append(structural_similarity(image, partner, DATA_RANGES, window))
    table = {key: np.concatenate(parts) for key, parts in values.items()}
    return {"pairs": count, "window": window} | _ranges(table)


def _images(sample: Showers, rows: NDArray[np.int64], shape: tuple[int, int, int]) -> Floats:
    return sample[rows].dense().reshape(len(rows), *shape).astype(np.float64) * MEV


def _ranges(table: dict[str, Floats]) -> dict[str, dict[str, float | None]]:
    result = {}
    for number, data_range in enumerate(DATA_RANGES):
        entry: dict[str, float | None] = {}
        for key, values in table.items():
            value, error = _mean(values[:, number])
            entry |= {key: value, f"{key}_error": error}
        value, error = _mean(table["generated"][:, number] - table["reference"][:, number])
        result[f"1e{round(math.log10(data_range))}"] = entry | {"value": value, "error": error}
    return result


def _mean(values: Floats) -> tuple[float | None, float | None]:
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return float(values.mean()) if n else None, error
