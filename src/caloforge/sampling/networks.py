"""The few building blocks that the networks need, in numpy: same row, same result in any batch."""

from __future__ import annotations

import numpy as np

from caloforge.sampling.arrays import Array, State
from caloforge.sampling.compiled import compiled

LEAST_ROWS = 8
"""Products of fewer rows take other paths in BLAS and round differently; they are padded."""


class Linear:
    """x W + b, with the weights of a torch layer; ``gate`` names those of a GRU's gates."""

    def __init__(self, state: State, name: str, gate: str = "") -> None:
        self.weight = np.ascontiguousarray(state[f"{name}.weight{gate}"].astype(np.float32).T)
        self.bias = state[f"{name}.bias{gate}"].astype(np.float32)

    def __call__(self, x: Array) -> Array:
        """(rows, in) -> (rows, out)."""
        return product(x, self.weight) + self.bias


def product(x: Array, weight: Array) -> Array:
    """Matrix product whose rows do not depend on how many there are."""
    rows = len(x)
    if rows >= LEAST_ROWS:
        return np.asarray(x @ weight)
    padded = np.zeros((LEAST_ROWS, x.shape[1]), dtype=np.float32)
    padded[:rows] = x
    return np.asarray((padded @ weight)[:rows])


class Perceptron:
    """Linear layers, each followed by SiLU; not after the last where ``open_end``."""

    def __init__(self, state: State, name: str, *, open_end: bool) -> None:
        numbers = sorted(
            int(key.split(".")[-2])
            for key in state
            if key.startswith(f"{name}.") and key.endswith(".weight")
        )
        self.layers = [Linear(state, f"{name}.{number}") for number in numbers]
        self.open_end = open_end

    def __call__(self, x: Array) -> Array:
        """(rows, in) -> (rows, out)."""
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number + 1 < len(self.layers) or not self.open_end:
                silu(x)
        return x


class Recurrent:
    """A GRU cell with the weights of a one-layer torch GRU."""

    def __init__(self, state: State, name: str) -> None:
        self.inputs, self.hidden = Linear(state, name, "_ih_l0"), Linear(state, name, "_hh_l0")
        self.size = self.hidden.weight.shape[0]

    def __call__(self, x: Array, hidden: Array) -> Array:
        """Input (rows, in) and state (rows, size) -> the next state."""
        out = np.empty_like(hidden)
        _gru(self.inputs(x), self.hidden(hidden), hidden, out)
        return out


@compiled
def silu(x: Array) -> None:
    """x sigmoid(x) in place, for every row of (rows, n)."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            value = x[row, k]
            x[row, k] = value / (np.float32(1.0) + np.exp(-value))


@compiled
def _gru(gates_x: Array, gates_h: Array, hidden: Array, out: Array) -> None:
    size = hidden.shape[1]
    one = np.float32(1.0)
    for row in range(hidden.shape[0]):
        for k in range(size):
            reset = one / (one + np.exp(-(gates_x[row, k] + gates_h[row, k])))
            keep = one / (one + np.exp(-(gates_x[row, size + k] + gates_h[row, size + k])))
            new = np.tanh(gates_x[row, 2 * size + k] + reset * gates_h[row, 2 * size + k])
            out[row, k] = (one - keep) * new + keep * hidden[row, k]
