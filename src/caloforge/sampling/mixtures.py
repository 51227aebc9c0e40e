"""Numbers drawn one after the other, each from a mixture of Gaussians given those before it."""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Array, State, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.functions import exp, sigmoid
from caloforge.sampling.networks import Linear
from caloforge.sampling.random import normal, uniform

SPREAD = (-7.0, 1.5)
"""Bounds of the logarithm of a component's spread."""


class Chain:
    """The weights of :class:`caloforge.models.layered.mixtures.Chain`."""

    def __init__(self, state: State, name: str) -> None:
        self.first = Linear(state, f"{name}.first")
        self.earlier = state[f"{name}.earlier"].astype(np.float32)
        self.last = state[f"{name}.last"].astype(np.float32)
        self.last_bias = state[f"{name}.last_bias"].astype(np.float32)


@inlined
def draw_mixture(parameters: Array, words: Words) -> float:
    """A number from a mixture given as (3 K,): logits, means, logarithms of the spreads.

    The logits become weights.
    """
    n = parameters.shape[0] // 3
    top = parameters[0]
    for k in range(1, n):
        top = max(top, parameters[k])
    total = np.float32(0.0)
    for k in range(n):
        parameters[k] = exp(parameters[k] - top)
        total += parameters[k]
    left = np.float32(uniform(words)) * total
    chosen = 0
    for k in range(n - 1):
        left -= parameters[k]
        chosen += left > np.float32(0.0)
    spread = min(max(parameters[2 * n + chosen], np.float32(SPREAD[0])), np.float32(SPREAD[1]))
    return float(np.float64(parameters[n + chosen]) + np.float64(exp(spread)) * normal(words))


@inlined
def draw_next(
    inner: Array, number: int, last: Array, last_bias: Array, parameters: Array, words: Words
) -> float:
    """The number ``number`` of a chain from its inner values (dims, width); spends them."""
    say(inner[number], last[number], last_bias[number], parameters)
    return draw_mixture(parameters, words)


@compiled
def say(inner: Array, last: Array, bias: Array, out: Array) -> None:
    """The last layer: SiLU of (width,) times (width, n), plus the bias (n,)."""
    width, n = last.shape
    for k in range(width):
        inner[k] *= sigmoid(inner[k])
    for j in range(n):
        out[j] = bias[j]
    whole = width // 4 * 4
    for k in range(0, whole, 4):  # four at once: fewer visits of the result
        a, b, c, d = inner[k], inner[k + 1], inner[k + 2], inner[k + 3]
        for j in range(n):
            out[j] += a * last[k, j] + b * last[k + 1, j] + c * last[k + 2, j] + d * last[k + 3, j]
    for k in range(whole, width):
        for j in range(n):
            out[j] += inner[k] * last[k, j]


@inlined
def tell_later(inner: Array, number: int, value: float, earlier: Array) -> None:
    """Add what a number that is now known means for the later ones."""
    begin = (number + 1) * inner.shape[1]
    _add_times(inner.ravel()[begin:], np.float32(value), earlier[number].ravel()[begin:])


@compiled
def _add_times(out: Array, factor: np.float32, other: Array) -> None:
    for k in range(out.shape[0]):
        out[k] += factor * other[k]


@compiled
def draw_chains(
    inner: Array,
    earlier: Array,
    last: Array,
    last_bias: Array,
    bounds: Array,
    wanted: Array,
    words: Words,
    out: Array,
) -> None:
    """Draw all numbers of a chain for every row.

    Args:
        inner: (rows, dims, width), spent.
        earlier, last, last_bias: weights of the chain.
        bounds: (2, dims) lowest and highest value.
        wanted: (rows,) rows that are not get zeros.
        words: (rows, 2) random states.
        out: (rows, dims).
    """
    for row in range(wanted.shape[0]):
        if wanted[row] <= 0.0:
            out[row] = 0.0
            continue
        parameters = np.empty(last.shape[2], dtype=np.float32)
        for number in range(inner.shape[1]):
            value = draw_next(inner[row], number, last, last_bias, parameters, words[row])
            value = min(max(value, bounds[0, number]), bounds[1, number])
            out[row, number] = value
            tell_later(inner[row], number, value, earlier)
