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
    """A number from a mixture given as (3 K,): logits, means, logarithms of the spreads."""
    n = parameters.shape[0] // 3
    top = parameters[0]
    for k in range(1, n):
        top = max(top, parameters[k])
    total = 0.0
    for k in range(n):
        total += np.float64(exp(parameters[k] - top))
    left = uniform(words) * total
    chosen = n - 1
    for k in range(n):
        left -= np.float64(exp(parameters[k] - top))
        if left <= 0.0:
            chosen = k
            break
    spread = min(max(np.float64(parameters[2 * n + chosen]), SPREAD[0]), SPREAD[1])
    return float(np.float64(parameters[n + chosen]) + np.exp(spread) * normal(words))


@inlined
def draw_next(
    inner: Array, number: int, last: Array, last_bias: Array, parameters: Array, words: Words
) -> float:
    """The number ``number`` of a chain from its inner values (dims, width)."""
    width = inner.shape[1]
    parameters[:] = last_bias[number]
    for k in range(width):
        value = inner[number, k] * sigmoid(inner[number, k])
        for j in range(parameters.shape[0]):
            parameters[j] += value * last[number, k, j]
    return draw_mixture(parameters, words)


@inlined
def tell_later(inner: Array, number: int, value: float, earlier: Array) -> None:
    """Add what a number that is now known means for the later ones."""
    known = np.float32(value)
    for later in range(number + 1, inner.shape[0]):
        for k in range(inner.shape[1]):
            inner[later, k] += known * earlier[number, later, k]


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
        wanted: (rows,) rows that are not get zeros; may be fewer than the others have.
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
