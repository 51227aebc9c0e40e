"""The shape stage: centres, widths and learned numbers of every layer, front to back.

Twin of :class:`caloforge.models.layered.shapes.ShapeStage`, drawing instead of learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, Doubles, State, Words
from caloforge.sampling.mixtures import Chain, draw_chains
from caloforge.sampling.networks import Linear, Memory, Perceptron, add_silu, product, room

CONTEXT = 3
"""What the stage knows of a layer: its energy, its hits, whether it is hit."""

APART_SPREAD = 12.0**-0.5
"""Standard deviation of where lines cross the frame's middle cells, even over one cell."""


def told_of(standard: Doubles, hit: NDArray[np.bool_], apart: Doubles, margin: int) -> Array:
    """What the stage knows of layers (B, L, n), see :meth:`ShapeStage.draw`.

    Where a line crosses its cell decides where the centre can be: most energy is in one cell. In
    frames with a margin that differs from layer to layer.

    Args:
        standard: (B, L, 2) standardised energy and hits.
        hit: (B, L) layers with hits.
        apart: (B, L) distance from the frame's middle to the line, in cells.
        margin: of the frame.
    """
    parts = [np.where(hit[..., None], standard, 0.0), hit[..., None]]
    if margin:
        parts.append(apart[..., None] / APART_SPREAD)
    return np.concatenate(parts, axis=2, dtype=np.float32)


def particle_of(condition: Array, apart: Doubles, margin: int) -> Array:
    """What the decoder knows of the particle, for every layer (B, L, n).

    Cells at the corners of the middle one get the more, the nearer the line is to them: the layer's
    centre fluctuates about that.

    Args:
        condition: (B, C) standardised.
        apart, margin: see :func:`told_of`.
    """
    known = np.broadcast_to(condition[:, None], (*apart.shape, condition.shape[1]))
    if not margin:
        return known
    return np.concatenate([known, apart[..., None] / APART_SPREAD], axis=2, dtype=np.float32)


class ShapeStage:
    """Draws what describes the layers of showers, beside their energies and hits."""

    def __init__(self, state: State, name: str) -> None:
        self.embedding = state[f"{name}.embedding.weight"].astype(np.float32)
        self.context = Perceptron(state, f"{name}.context", open_end=True)
        self.memory = Memory(state, f"{name}.memory", f"{name}.mix.0")
        self.chain = Chain(state, f"{name}.chain")
        self.bounds = state[f"{name}.bounds"].astype(np.float32)
        self.layers, self.size = len(self.embedding), self.bounds.shape[2]
        before = Linear(state, f"{name}.before")
        # the input of a layer: what was drawn last, then what is known beforehand
        self.from_last = np.ascontiguousarray(before.weight[: self.size])
        self.from_known = np.ascontiguousarray(before.weight[self.size :])
        self.before_bias = before.bias

    def draw(self, known: Array, condition: Array, words: Words) -> Array:
        """Standardised numbers (B, L, size); zeros where a layer is not hit.

        Args:
            known: (B, L, n) standardised energy and hits, and 1 where the layer is hit; else 0;
                in frames with a margin where the line crosses its cell, see :func:`told_of`.
            condition: (B, C) standardised.
            words: (B, 2) random states, advanced.
        """
        rows = len(known)
        beforehand = self._beforehand(known, condition)
        memory, said, h = self.memory.start(rows)
        last, x = room(rows, self.size), room(rows, len(self.before_bias))
        from_last, given = np.empty_like(x), np.empty_like(said)
        inner = room(rows, len(self.chain.first.bias))
        out = np.zeros((rows, self.layers, self.size), dtype=np.float32)
        for layer in range(self.layers):
            np.dot(last, self.from_last, out=from_last)
            add_silu(beforehand[layer], from_last, x)
            np.dot(x, self.memory.from_input, out=given)
            given += self.memory.input_bias
            self.memory.step(given, memory, said, h)
            np.dot(h, self.chain.first.weight, out=inner)
            inner += self.chain.first.bias
            draw_chains(
                inner.reshape(len(inner), self.size, -1), self.chain.earlier, self.chain.last,
                self.chain.last_bias, self.bounds[layer], known[:, layer, 2], words, last,
            )  # fmt: skip
            out[:, layer] = last[:rows]
        return out

    def _beforehand(self, known: Array, condition: Array) -> Array:
        """What is known of all layers enters their inputs (L, B, n) at once."""
        rows, layers = len(known), self.layers
        context = self.context(np.concatenate([condition, known.reshape(rows, -1)], axis=1))
        earlier = np.concatenate([np.zeros_like(known[:, :1]), known[:, :-1]], axis=1)
        everything = np.concatenate(
            [
                known.transpose(1, 0, 2),
                earlier.transpose(1, 0, 2),
                np.broadcast_to(context, (layers, *context.shape)),
                np.broadcast_to(self.embedding[:, None], (layers, rows, self.embedding.shape[1])),
            ],
            axis=2,
        )
        flat = product(everything.reshape(layers * rows, -1), self.from_known) + self.before_bias
        return flat.reshape(layers, rows, -1)
