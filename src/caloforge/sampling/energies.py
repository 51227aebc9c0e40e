"""The energy stage: visible energy, then layer by layer its share of what is left, and its hits.

Twin of :class:`caloforge.models.layered.energies.EnergyStage`, drawing instead of learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, Doubles, State, Words
from caloforge.sampling.compiled import compiled, inlined
from caloforge.sampling.layer_numbers import LEAST_LAYER, LEFT_CLIP
from caloforge.sampling.mixtures import Chain, draw_mixture, draw_next, tell_later
from caloforge.sampling.networks import Linear, Perceptron, Recurrent
from caloforge.sampling.random import uniform

STATES = 3
"""A layer is empty, hit with others behind it, or the last one that is hit."""

SEEN = STATES + 2
"""What a layer hears of the one before it: its state, its share, its hits."""


class EnergyStage:
    """Draws the visible energy, the layers' energies and the layers' hits of showers."""

    def __init__(self, state: State, name: str) -> None:
        self.embedding = state[f"{name}.embedding.weight"].astype(np.float32)
        self.total = Perceptron(state, f"{name}.total", open_end=True)
        self.context = Perceptron(state, f"{name}.context", open_end=True)
        self.memory = Recurrent(state, f"{name}.memory")
        self.mix = Perceptron(state, f"{name}.mix", open_end=False)
        self.state = Linear(state, f"{name}.state")
        self.chain = Chain(state, f"{name}.chain")
        buffers = ("condition_mean", "condition_std", "total_fit", "total_std", "left_mean")
        names = (*buffers, "left_std", "number_mean", "number_std", "total_bounds", "bounds")
        self.buffer = {key: state[f"{name}.{key}"].astype(np.float64) for key in names}
        self.layers = len(self.embedding)

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
        known = self.standardised(condition)
        chosen = np.empty(rows, dtype=np.float32)
        _draw_totals(self.total(known), b["total_bounds"], words, chosen)
        fit = np.polynomial.polynomial.polyval(known[:, 0].astype(np.float64), b["total_fit"])
        left = np.exp(chosen * b["total_std"] + fit + condition[:, 0])
        context = self.context(np.column_stack([known, chosen]))
        seen = np.zeros((rows, SEEN), dtype=np.float32)
        memory = np.zeros((rows, self.memory.size), dtype=np.float32)
        done = np.zeros(rows, dtype=np.bool_)
        energy = np.zeros((rows, self.layers))
        hits = np.zeros((rows, self.layers), dtype=np.int64)
        for layer in range(self.layers):
            rest = np.log(np.maximum(left, 0.1 * LEAST_LAYER)) - condition[:, 0]
            rest = (rest - b["left_mean"][layer]) / b["left_std"][layer]
            rest = np.clip(rest, -LEFT_CLIP, LEFT_CLIP)[:, None]
            place = np.broadcast_to(self.embedding[layer], (rows, self.embedding.shape[1]))
            x = np.concatenate([seen, rest, context, place], axis=1, dtype=np.float32)
            memory = self.memory(x, memory)
            h = self.mix(np.concatenate([memory, x], axis=1))
            inner = self.chain.first(h)
            _draw_layer(
                self.state(h), inner.reshape(rows, 2, -1), self.chain.earlier, self.chain.last,
                self.chain.last_bias, b["number_mean"][layer], b["number_std"][layer],
                b["bounds"][layer], layer == self.layers - 1, most[layer], left, done, seen,
                energy[:, layer], hits[:, layer], words,
            )  # fmt: skip
        return energy, hits


@compiled
def _draw_totals(parameters: Array, bounds: Doubles, words: Words, out: Array) -> None:
    for row in range(parameters.shape[0]):
        value = draw_mixture(parameters[row], words[row])
        out[row] = min(max(value, bounds[0]), bounds[1])


@compiled
def _draw_layer(
    logits: Array,
    inner: Array,
    earlier: Array,
    last: Array,
    last_bias: Array,
    mean: Doubles,
    std: Doubles,
    bounds: Doubles,
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
    for row in range(logits.shape[0]):
        seen[row] = 0.0
        if done[row]:
            seen[row, 0] = 1.0
            continue
        state = _draw_state(logits[row], is_end, left[row], words[row])
        seen[row, state] = 1.0
        if state == 0:
            continue
        parameters = np.empty(last.shape[2], dtype=np.float32)
        share = 1.0
        if state == 1:
            value = draw_next(inner[row], 0, last, last_bias, parameters, words[row])
            value = min(max(value, bounds[0, 0]), bounds[1, 0])
            seen[row, STATES] = value
            share = 1.0 / (1.0 + np.exp(-(value * std[0] + mean[0])))
        tell_later(inner[row], 0, seen[row, STATES], earlier)
        value = draw_next(inner[row], 1, last, last_bias, parameters, words[row])
        value = min(max(value, bounds[0, 1]), bounds[1, 1])
        seen[row, STATES + 1] = value
        energy[row] = left[row] * share
        left[row] -= energy[row]
        count = np.int64(np.floor(np.exp(value * std[1] + mean[1]))) + 1
        hits[row] = count if count < most else most
        done[row] = state == 2


@inlined
def _draw_state(logits: Array, is_end: bool, left: float, words: Words) -> int:
    """0: empty, 1: hit, 2: hit and the last one; the last layer takes what is left."""
    draw = uniform(words)
    if is_end:
        return 2 if left > LEAST_LAYER else 0
    top = max(logits[0], logits[1], logits[2])
    empty = np.exp(np.float64(logits[0] - top))
    hit = np.exp(np.float64(logits[1] - top))
    draw *= empty + hit + np.exp(np.float64(logits[2] - top))
    if draw < empty:
        return 0
    return 1 if draw < empty + hit else 2
