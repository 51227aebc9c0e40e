"""The few building blocks that the networks need, in numpy: same row, same result in any batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caloforge.sampling.arrays import Array, State
from caloforge.sampling.compiled import compiled
from caloforge.sampling.functions import sigmoid, tanh
from caloforge.sampling.products import multiply, product

GRU = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Weights of a GRU in torch."""


class Linear:
    """x W + b, with the weights of a torch layer."""

    def __init__(self, state: State, name: str) -> None:
        self.weight = np.ascontiguousarray(state[f"{name}.weight"].astype(np.float32).T)
        self.bias = state[f"{name}.bias"].astype(np.float32)

    def __call__(self, x: Array) -> Array:
        """(rows, in) -> (rows, out)."""
        out = product(x, self.weight)
        out += self.bias
        return out


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


class Memory(NamedTuple):
    """A GRU whose state and input enter one more layer with SiLU, for many steps of many rows.

    The products of the state with the gates of the next step and with that layer are one, and so
    are those of the input.

    Args:
        from_input, from_state: (in, 3 size + out), (size, 3 size + out) weights.
        input_bias, state_bias: (3 size + out,).
    """

    from_input: Array
    from_state: Array
    input_bias: Array
    state_bias: Array


class Remembered(NamedTuple):
    """Where a memory is: its state (rows, size), what that says to the gates (rows, 3 size + out)
    and the output (rows, out)."""

    state: Array
    said: Array
    out: Array


def memory_of(state: State, name: str, mix: str) -> Memory:
    """The memory of a one-layer torch GRU ``name`` and the layer ``mix`` of [state, input]."""
    into = {key: state[f"{name}.{key}_l0"].astype(np.float32) for key in GRU}
    weight, bias = (state[f"{mix}.{key}"].astype(np.float32) for key in ("weight", "bias"))
    size = into["weight_hh"].shape[1]
    from_input = np.concatenate([into["weight_ih"], weight[:, size:]])
    from_state = np.concatenate([into["weight_hh"], weight[:, :size]])
    return Memory(
        np.ascontiguousarray(from_input.T),
        np.ascontiguousarray(from_state.T),
        np.concatenate([into["bias_ih"], bias]),
        np.concatenate([into["bias_hh"], np.zeros_like(bias)]),
    )


def zeros(rows: int, size: int) -> Array:
    """(rows, size) zeros."""
    return np.zeros((rows, size), dtype=np.float32)


def start_memory(memory: Memory, rows: int) -> Remembered:
    """Before the first step."""
    size, both = memory.from_state.shape
    said = np.tile(memory.state_bias, (rows, 1))
    return Remembered(zeros(rows, size), said, zeros(rows, both - 3 * size))


@compiled
def step_memory(memory: Memory, given: Array, at: Remembered) -> None:
    """One step, in place; ``given`` (rows, 3 size + out): products of the input and bias."""
    _remember(given, at.said, at.state)
    multiply(at.state, memory.from_state, at.said)
    _mix(given, at.said, memory.state_bias, at.state.shape[1], at.out)


@compiled
def add_bias(out: Array, bias: Array) -> None:
    """Add (n,) to every row of (rows, n)."""
    for row in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[row, k] += bias[k]


@compiled
def silu(x: Array) -> None:
    """x sigmoid(x) in place, for every row of (rows, n)."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            x[row, k] *= sigmoid(x[row, k])


@compiled
def add_silu(first: Array, second: Array, out: Array) -> None:
    """SiLU of the sum of two (rows, n)."""
    for row in range(first.shape[0]):
        for k in range(first.shape[1]):
            value = first[row, k] + second[row, k]
            out[row, k] = value * sigmoid(value)


@compiled
def _remember(given: Array, said: Array, state: Array) -> None:
    size = state.shape[1]
    for row in range(state.shape[0]):
        for k in range(size):
            reset = sigmoid(given[row, k] + said[row, k])
            keep = sigmoid(given[row, size + k] + said[row, size + k])
            new = tanh(given[row, 2 * size + k] + reset * said[row, 2 * size + k])
            state[row, k] = new + keep * (state[row, k] - new)


@compiled
def _mix(given: Array, said: Array, bias: Array, size: int, out: Array) -> None:
    first = 3 * size
    for row in range(out.shape[0]):
        for k in range(said.shape[1]):
            said[row, k] += bias[k]
        for k in range(out.shape[1]):
            value = given[row, first + k] + said[row, first + k]
            out[row, k] = value * sigmoid(value)
