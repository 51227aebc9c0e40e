"""The energy stage: visible energy, then layer by layer its share of what is left, and its hits.

Twin of :class:`caloforge.models.layered.energies.EnergyStage`, drawing instead of learning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, Doubles, State, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.layer_numbers import LEAST_LAYER, LEFT_CLIP
from caloforge.sampling.mixtures import Chain, draw_mixture, draw_next, tell_later
from caloforge.sampling.networks import (
    Linear,
    Memory,
    Perceptron,
    Remembered,
    memory_of,
    start_memory,
    step_memory,
    zeros,
)
from caloforge.sampling.products import multiply, product
from caloforge.sampling.random import uniform

STATES = 3
"""A layer is empty, hit with others behind it, or the last one that is hit."""

SEEN = STATES + 2
"""What a layer hears of the one before it: its state, its share, its hits."""


class Networks(NamedTuple):
    """The networks that see one layer after the other, and what a layer's numbers are like.

    ``earliest_end``: first layer that can be the last one hit; ``hears`` (6, n) what a layer hears
    of the one before it enters the input; ``from_place`` (L, n) what its place does, with the bias;
    ``memory``; ``decide`` and its bias: logits of the states, then the chain's inner values;
    ``earlier``, ``last``, ``last_bias``: the chain's weights, see :class:`.mixtures.Chain`;
    ``mean``, ``std`` (L, 2), ``bounds`` (L, 2, 2) of the two numbers; ``absolute``, ``left_mean``,
    ``left_std`` (L,), see the twin.
    """

    earliest_end: int
    hears: Array
    from_place: Array
    memory: Memory
    decide: Array
    decide_bias: Array
    earlier: Array
    last: Array
    last_bias: Array
    mean: Doubles
    std: Doubles
    bounds: Doubles
    absolute: Doubles
    left_mean: Doubles
    left_std: Doubles


class EnergyStage:
    """Draws the visible energy, the layers' energies and the layers' hits of showers."""

    def __init__(self, state: State, name: str) -> None:
        embedding = state[f"{name}.embedding.weight"].astype(np.float32)
        self.total = Perceptron(state, f"{name}.total", open_end=True)
        self.context = Perceptron(state, f"{name}.context", open_end=True)
        names = ("condition_mean", "condition_std", "total_fit", "total_std", "total_bounds")
        self.buffer = {key: state[f"{name}.{key}"].astype(np.float64) for key in names}
        memory = memory_of(state, f"{name}.memory", f"{name}.mix.0")
        chain, decide = Chain(state, f"{name}.chain"), Linear(state, f"{name}.state")
        # the input of a layer: what it hears, the shower's context, its own place
        parts = np.split(memory.from_input, [SEEN + 1, -embedding.shape[1]])
        hears, self.from_context = (np.ascontiguousarray(part) for part in parts[:2])
        numbers = ("number_mean", "number_std", "bounds", "absolute", "left_mean", "left_std")
        self.networks = Networks(
            int(state[f"{name}.earliest_end"]), hears,
            embedding @ parts[2] + memory.input_bias, memory,
            np.ascontiguousarray(np.concatenate([decide.weight, chain.first.weight], axis=1)),
            np.concatenate([decide.bias, chain.first.bias]), chain.earlier, chain.last,
            chain.last_bias, *(state[f"{name}.{key}"].astype(np.float64) for key in numbers),
        )  # fmt: skip

    def standardised(self, condition: Doubles) -> Array:
        """Conditions (B, C), the first the logarithm of the incident energy, in network units."""
        mean, std = self.buffer["condition_mean"], self.buffer["condition_std"]
        return np.asarray((condition - mean) / std, dtype=np.float32)

    def draw(
        self, condition: Doubles, words: Words, most: NDArray[np.int64]
    ) -> tuple[Doubles, NDArray[np.int64]]:
        """Layer energies (B, L) in MeV and hits (B, L).

        Args:
            condition: (B, C), the first the logarithm of the incident energy (MeV).
            words: (B, 2) random states, advanced.
            most: (L,) most hits that a layer can have.
        """
        b, rows = self.buffer, len(condition)
        known, incident = self.standardised(condition), np.ascontiguousarray(condition[:, 0])
        chosen = np.empty(rows, dtype=np.float32)
        _draw_totals(self.total(known), b["total_bounds"], words, chosen)
        fit = np.polynomial.polynomial.polyval(known[:, 0].astype(np.float64), b["total_fit"])
        left = np.exp(chosen * b["total_std"] + fit + incident)
        context = product(self.context(np.column_stack([known, chosen])), self.from_context)
        heard, decided = zeros(rows, SEEN + 1), zeros(rows, len(self.networks.decide_bias))
        at = start_memory(self.networks.memory, rows)
        layers = len(self.networks.mean)
        energy = np.zeros((rows, layers))
        hits = np.zeros((rows, layers), dtype=np.int64)
        _draw_layers(
            self.networks, context, incident, most, left, heard, decided, at, words, energy, hits
        )
        return energy, hits


@compiled
def _draw_totals(parameters: Array, bounds: Doubles, words: Words, out: Array) -> None:
    for row in range(parameters.shape[0]):
        value = draw_mixture(parameters[row], words[row])
        out[row] = min(max(value, bounds[0]), bounds[1])


@compiled
def _hear(left: Doubles, incident: Doubles, mean: float, std: float, heard: Array) -> None:
    """The last number that a layer hears: the standardised logarithm of the energy left."""
    for row in range(left.shape[0]):
        rest = (np.log(max(left[row], 0.1 * LEAST_LAYER)) - incident[row] - mean) / std
        heard[row, SEEN] = min(max(rest, -LEFT_CLIP), LEFT_CLIP)


@compiled
def _add(given: Array, context: Array, place: Array) -> None:
    for row in range(context.shape[0]):
        for k in range(context.shape[1]):
            given[row, k] += context[row, k] + place[k]


@compiled
def _draw_layers(
    networks: Networks,
    context: Array,
    incident: Doubles,
    most: NDArray[np.int64],
    left: Doubles,
    heard: Array,
    decided: Array,
    at: Remembered,
    words: Words,
    energy: Doubles,
    hits: NDArray[np.int64],
) -> None:
    """One layer after the other, all in compiled code: threads do not wait for each other.

    Args:
        networks: those of the stage.
        context: (B, n) what the shower's context does to the inputs.
        incident: (B,) logarithm of the incident energy.
        most: (L,) most hits of a layer.
        left: (B,) visible energy, spent.
        heard, decided: room for what a layer hears and what is decided.
        at: the memory before the first layer.
        words: (B, 2) random states, advanced.
        energy, hits: (B, L) results.
    """
    done = np.zeros(left.shape[0], dtype=np.bool_)
    given = np.empty_like(at.said)
    end = energy.shape[1] - 1
    for layer in range(energy.shape[1]):
        _hear(left, incident, networks.left_mean[layer], networks.left_std[layer], heard)
        multiply(heard, networks.hears, given)
        _add(given, context, networks.from_place[layer])
        step_memory(networks.memory, given, at)
        multiply(at.out, networks.decide, decided)
        _draw_layer(
            decided, networks.decide_bias, networks.earlier, networks.last, networks.last_bias,
            networks.mean[layer], networks.std[layer], networks.bounds[layer],
            networks.absolute[layer], layer >= networks.earliest_end, layer == end, most[layer],
            left, done, heard, energy[:, layer], hits[:, layer], words,
        )  # fmt: skip


@compiled
def _draw_layer(
    decided: Array,
    bias: Array,
    earlier: Array,
    last: Array,
    last_bias: Array,
    mean: Doubles,
    std: Doubles,
    bounds: Doubles,
    absolute: float,
    may_end: bool,
    is_end: bool,
    most: int,
    left: Doubles,
    done: NDArray[np.bool_],
    seen: Array,
    energy: Doubles,
    hits: NDArray[np.int64],
    words: Words,
) -> None:
    """State, energy and hits of one layer of every shower; takes its energy from ``left``."""
    width = last.shape[1]
    for row in range(left.shape[0]):
        seen[row, :SEEN] = 0.0
        if done[row]:
            seen[row, 0] = 1.0
            continue
        for k in range(decided.shape[1]):
            decided[row, k] += bias[k]
        inner = decided[row, STATES:].reshape(2, width)
        state = _draw_state(decided[row], may_end, is_end, left[row], words[row])
        seen[row, state] = 1.0
        if state == 0:
            continue
        parameters = np.empty(last.shape[2], dtype=np.float32)
        share = 1.0
        if state == 1:
            value = draw_next(inner, 0, last, last_bias, parameters, words[row])
            value = min(max(value, bounds[0, 0]), bounds[1, 0])
            seen[row, STATES] = value
            logit = value * std[0] + mean[0] - absolute * np.log(max(left[row], 0.1 * LEAST_LAYER))
            share = 1.0 / (1.0 + np.exp(-logit))
        tell_later(inner, 0, seen[row, STATES], earlier)
        value = draw_next(inner, 1, last, last_bias, parameters, words[row])
        value = min(max(value, bounds[0, 1]), bounds[1, 1])
        seen[row, STATES + 1] = value
        energy[row] = left[row] * share
        left[row] -= energy[row]
        count = np.int64(np.floor(np.exp(value * std[1] + mean[1]))) + 1
        hits[row] = count if count < most else most
        done[row] = state == 2


@inlined
def _draw_state(logits: Array, may_end: bool, is_end: bool, left: float, words: Words) -> int:
    """0: empty, 1: hit, 2: hit and the last one; the last layer takes what is left."""
    draw = uniform(words)
    if is_end:
        return 2 if left > LEAST_LAYER else 0
    top = max(logits[0], logits[1], logits[2])
    empty = np.exp(np.float64(logits[0] - top))
    hit = np.exp(np.float64(logits[1] - top))
    last = np.exp(np.float64(logits[2] - top)) if may_end else 0.0
    draw *= empty + hit + last
    if draw < empty:
        return 0
    return 1 if draw < empty + hit else 2
