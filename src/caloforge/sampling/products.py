"""Matrix products whose rows do not depend on how many there are, on any machine.

BLAS takes other paths for other numbers of rows, and rounds differently; a draw at the edge between
two outcomes then depends on the batch. Here every element is a sum in the order of its terms.
"""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Array
from caloforge.sampling.compiled import in_order

AT_ONCE = 4
"""Inner indices that one visit of the result adds up."""


def product(x: Array, weight: Array) -> Array:
    """(rows, in) times (in, out) -> (rows, out)."""
    out = np.empty((len(x), weight.shape[1]), dtype=np.float32)
    multiply(np.ascontiguousarray(x, dtype=np.float32), weight, out)
    return out


@in_order
def multiply(x: Array, weight: Array, out: Array) -> None:
    """(rows, in) times (in, out) into (rows, out); two rows at once visit the weights less."""
    rows = x.shape[0]
    for row in range(0, rows - 1, 2):
        _two_rows(x[row], x[row + 1], weight, out[row], out[row + 1])
    if rows % 2:
        _row(x[rows - 1], weight, out[rows - 1])


@in_order
def _row(x: Array, weight: Array, out: Array) -> None:
    size, n = weight.shape
    whole = size // AT_ONCE * AT_ONCE
    out[:] = np.float32(0.0)
    for k in range(0, whole, AT_ONCE):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        w, v, u, t = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        for j in range(n):
            out[j] = (((out[j] + a * w[j]) + b * v[j]) + c * u[j]) + d * t[j]
    for k in range(whole, size):
        for j in range(n):
            out[j] += x[k] * weight[k, j]


@in_order
def _two_rows(x: Array, y: Array, weight: Array, out: Array, other: Array) -> None:
    size, n = weight.shape
    whole = size // AT_ONCE * AT_ONCE
    out[:] = np.float32(0.0)
    other[:] = np.float32(0.0)
    for k in range(0, whole, AT_ONCE):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        e, f, g, h = y[k], y[k + 1], y[k + 2], y[k + 3]
        w, v, u, t = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        for j in range(n):
            out[j] = (((out[j] + a * w[j]) + b * v[j]) + c * u[j]) + d * t[j]
            other[j] = (((other[j] + e * w[j]) + f * v[j]) + g * u[j]) + h * t[j]
    for k in range(whole, size):
        for j in range(n):
            out[j] += x[k] * weight[k, j]
            other[j] += y[k] * weight[k, j]
