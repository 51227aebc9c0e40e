"""The five moments of a layer that its cells must have, and how well they are known.

A layer wants its energy E, its centre and its widths. Around the wanted centre (x, y are then
relative to it) these are the sums of e, e x, e y, e x^2, e y^2 over its hits, linear in the cells'
energies e: E, 0, 0, E wx^2, E wy^2. The tolerances make them Gaussian instead of exact.

Vectors of five and symmetric matrices (their 15 numbers below and on the diagonal, row by row) are
tuples here: the compiler keeps them in registers.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Doubles, Integers
from caloforge.sampling.compiled import compiled, inlined

MOMENTS = 5

LOOSE_HITS = 6.0
"""Tolerances are twice as wide with so many hits, hardly wider with many more."""

LEAST_SHARE = 1e-9
"""Least share of the moments' variance along a hit that is left without it."""

LEAST_SQUARE = 1e-30
"""Rounding may make the square of a number on the diagonal of a root negative."""

Five = tuple[float, float, float, float, float]
Symmetric = tuple[float, ...]


@inlined
def basis(x: float, y: float) -> Five:
    """What one MeV at (x, y) adds to the moments."""
    return 1.0, x, y, x * x, y * y


@inlined
def added(vector: Five, factor: float, other: Five) -> Five:
    """vector + factor other."""
    v0, v1, v2, v3, v4 = vector
    o0, o1, o2, o3, o4 = other
    return (
        v0 + factor * o0, v1 + factor * o1, v2 + factor * o2, v3 + factor * o3, v4 + factor * o4
    )  # fmt: skip


@inlined
def dot(vector: Five, other: Five) -> float:
    """The scalar product."""
    v0, v1, v2, v3, v4 = vector
    o0, o1, o2, o3, o4 = other
    return v0 * o0 + v1 * o1 + v2 * o2 + v3 * o3 + v4 * o4


@inlined
def applied(matrix: Symmetric, vector: Five) -> Five:
    """M v."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = matrix
    v0, v1, v2, v3, v4 = vector
    return (
        a * v0 + b * v1 + d * v2 + g * v3 + k * v4,
        b * v0 + c * v1 + e * v2 + h * v3 + m * v4,
        d * v0 + e * v1 + f * v2 + i * v3 + n * v4,
        g * v0 + h * v1 + i * v2 + j * v3 + o * v4,
        k * v0 + m * v1 + n * v2 + o * v3 + p * v4,
    )


@inlined
def quadratic(matrix: Symmetric, vector: Five) -> float:
    """v^T M v."""
    return dot(applied(matrix, vector), vector)


@inlined
def widened(matrix: Symmetric, factor: float, vector: Five) -> Symmetric:
    """M + factor v v^T."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = matrix
    v0, v1, v2, v3, v4 = vector
    f0, f1, f2, f3, f4 = factor * v0, factor * v1, factor * v2, factor * v3, factor * v4
    return (
        a + f0 * v0,
        b + f1 * v0, c + f1 * v1,
        d + f2 * v0, e + f2 * v1, f + f2 * v2,
        g + f3 * v0, h + f3 * v1, i + f3 * v2, j + f3 * v3,
        k + f4 * v0, m + f4 * v1, n + f4 * v2, o + f4 * v3, p + f4 * v4,
    )  # fmt: skip


@inlined
def triangular(matrix: Symmetric) -> Symmetric:
    """L, lower triangular, of a positive definite M = L L^T (Cholesky), row by row."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = matrix
    a = np.sqrt(max(a, LEAST_SQUARE))
    b, d, g, k = b / a, d / a, g / a, k / a
    c = np.sqrt(max(c - b * b, LEAST_SQUARE))
    e, h, m = (e - d * b) / c, (h - g * b) / c, (m - k * b) / c
    f = np.sqrt(max(f - d * d - e * e, LEAST_SQUARE))
    i, n = (i - g * d - h * e) / f, (n - k * d - m * e) / f
    j = np.sqrt(max(j - g * g - h * h - i * i, LEAST_SQUARE))
    o = (o - k * g - m * h - n * i) / j
    p = np.sqrt(max(p - k * k - m * m - n * n - o * o, LEAST_SQUARE))
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p


@inlined
def projected(root: Symmetric, vector: Five) -> Five:
    """L^T v."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = root
    v0, v1, v2, v3, v4 = vector
    return (
        a * v0 + b * v1 + d * v2 + g * v3 + k * v4,
        c * v1 + e * v2 + h * v3 + m * v4,
        f * v2 + i * v3 + n * v4,
        j * v3 + o * v4,
        p * v4,
    )


@inlined
def targets(numbers: Doubles) -> Five:
    """The wanted moments from E (MeV), centre x and y, width x and y (cells)."""
    energy, wx, wy = numbers[0], numbers[3], numbers[4]
    return energy, 0.0, 0.0, energy * wx * wx, energy * wy * wy


@inlined
def tolerances(numbers: Doubles, hits: int, tolerance: Doubles) -> Five:
    """Variances of the wanted moments.

    Few hits have but few centres and widths, which drawn ones do not meet: the tolerances of
    those grow.

    Args:
        numbers: E (MeV), centre x and y, width x and y (cells).
        hits: how many there are to be.
        tolerance: of the energy (relative), the centres (cells), the widths (cells).
    """
    energy, wx, wy = numbers[0], numbers[3], numbers[4]
    wider = 1.0 + (LOOSE_HITS / hits) ** 2
    total = (tolerance[0] * energy) ** 2
    centre = (wider * tolerance[1] * energy) ** 2
    wide = (wider * tolerance[2] * energy * (2.0 * wx + 0.1)) ** 2
    high = (wider * tolerance[2] * energy * (2.0 * wy + 0.1)) ** 2
    return total, centre, centre, wide, high


@inlined
def _inverted(matrix: Symmetric) -> Symmetric:
    """The inverse of a positive definite matrix (Gauss and Jordan)."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, p = matrix
    rows = np.empty((MOMENTS, MOMENTS))
    lines = (a, b, d, g, k), (b, c, e, h, m), (d, e, f, i, n), (g, h, i, j, o), (k, m, n, o, p)
    for row in range(MOMENTS):
        for column in range(MOMENTS):
            rows[row, column] = lines[row][column]
    for pivot in range(MOMENTS):
        scale = 1.0 / rows[pivot, pivot]
        rows[pivot, pivot] = 1.0
        for column in range(MOMENTS):
            rows[pivot, column] *= scale
        for row in range(MOMENTS):
            if row != pivot:
                factor = rows[row, pivot]
                rows[row, pivot] = 0.0
                for column in range(MOMENTS):
                    rows[row, column] -= factor * rows[pivot, column]
    return (
        rows[0, 0],
        rows[1, 0], rows[1, 1],
        rows[2, 0], rows[2, 1], rows[2, 2],
        rows[3, 0], rows[3, 1], rows[3, 2], rows[3, 3],
        rows[4, 0], rows[4, 1], rows[4, 2], rows[4, 3], rows[4, 4],
    )  # fmt: skip


@compiled
def precision(
    variance: Five,
    x: Doubles,
    y: Doubles,
    spectra_variance: Doubles,
    node: Integers,
    count: int,
) -> Symmetric:
    """Inverse covariance of the moments while the cells' energies are not drawn yet.

    Args:
        variance: of the wanted moments.
        x, y: (count,) places of the hits from the wanted centre.
        spectra_variance: (nodes,) variance of the energies of every node, MeV^2.
        node: (count,) nodes of the hits.
        count: number of hits.
    """
    a, c, f, j, p = variance
    matrix: Symmetric = (a, 0.0, c, 0.0, 0.0, f, 0.0, 0.0, 0.0, j, 0.0, 0.0, 0.0, 0.0, p)
    for hit in range(count):
        matrix = widened(matrix, spectra_variance[node[hit]], basis(x[hit], y[hit]))
    return _inverted(matrix)
