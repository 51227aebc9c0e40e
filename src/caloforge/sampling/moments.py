"""The five moments of a layer that its cells must have, and how well they are known.

A layer wants its energy E, its centre and its widths. Around the wanted centre (x, y are then
relative to it) these are the sums of e, e x, e y, e x^2, e y^2 over its hits, linear in the cells'
energies e: E, 0, 0, E wx^2, E wy^2. The tolerances make them Gaussian instead of exact.
"""

from __future__ import annotations

from caloforge.sampling.arrays import Doubles, Integers
from caloforge.sampling.compiled import compiled, inlined

MOMENTS = 5


@inlined
def basis(x: float, y: float, out: Doubles) -> None:
    """What one MeV at (x, y) adds to the moments."""
    out[0] = 1.0
    out[1] = x
    out[2] = y
    out[3] = x * x
    out[4] = y * y


@inlined
def targets(numbers: Doubles, tolerance: Doubles, wanted: Doubles, variance: Doubles) -> None:
    """The wanted moments (5,) and their variances (5,).

    Args:
        numbers: E (MeV), centre x and y, width x and y (cells).
        tolerance: of the energy (relative), the centres (cells), the widths (cells).
        wanted: result.
        variance: result.
    """
    energy, wx, wy = numbers[0], numbers[3], numbers[4]
    wanted[0] = energy
    wanted[1] = 0.0
    wanted[2] = 0.0
    wanted[3] = energy * wx * wx
    wanted[4] = energy * wy * wy
    variance[0] = (tolerance[0] * energy) ** 2
    variance[1] = (tolerance[1] * energy) ** 2
    variance[2] = variance[1]
    variance[3] = (tolerance[2] * energy * (2.0 * wx + 0.1)) ** 2
    variance[4] = (tolerance[2] * energy * (2.0 * wy + 0.1)) ** 2


@inlined
def quadratic(matrix: Doubles, vector: Doubles) -> float:
    """v^T M v for the symmetric M (5, 5)."""
    total = 0.0
    for a in range(MOMENTS):
        for b in range(MOMENTS):
            total += vector[a] * matrix[a, b] * vector[b]
    return total


@inlined
def _invert(matrix: Doubles) -> None:
    """Invert a positive definite matrix (5, 5) in place (Gauss and Jordan)."""
    for k in range(MOMENTS):
        scale = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for b in range(MOMENTS):
            matrix[k, b] *= scale
        for a in range(MOMENTS):
            if a != k:
                factor = matrix[a, k]
                matrix[a, k] = 0.0
                for b in range(MOMENTS):
                    matrix[a, b] -= factor * matrix[k, b]


@compiled
def precision(
    variance: Doubles,
    places: Doubles,
    spectra_variance: Doubles,
    node: Integers,
    count: int,
    matrix: Doubles,
) -> None:
    """Inverse covariance (5, 5) of the moments while the cells' energies are not drawn yet.

    Args:
        variance: (5,) of the wanted moments.
        places: (count, 5) basis of the hits.
        spectra_variance: (nodes,) variance of the energies of every node, MeV^2.
        node: (count,) nodes of the hits.
        count: number of hits.
        matrix: (5, 5) result.
    """
    matrix[:] = 0.0
    for a in range(MOMENTS):
        matrix[a, a] = variance[a]
    for hit in range(count):
        spread = spectra_variance[node[hit]]
        for a in range(MOMENTS):
            for b in range(MOMENTS):
                matrix[a, b] += spread * places[hit, a] * places[hit, b]
    _invert(matrix)
