"""The shape stage: centres, widths and learned numbers of every layer, front to back.

Twin of :class:`caloforge.models.layered.shapes.ShapeStage`, drawing instead of learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, State, Words
from caloforge.sampling.mixtures import Chain, draw_chains
from caloforge.sampling.networks import Linear, Perceptron, Recurrent, silu

CONTEXT = 3
"""What the stage knows of a layer: its energy, its hits, whether it is hit."""


class ShapeStage:
    """Draws what describes the layers of showers, beside their energies and hits."""

    def __init__(self, state: State, name: str) -> None:
        self.embedding = state[f"{name}.embedding.weight"].astype(np.float32)
        self.context = Perceptron(state, f"{name}.context", open_end=True)
        self.before = Linear(state, f"{name}.before")
        self.memory = Recurrent(state, f"{name}.memory")
        self.mix = Perceptron(state, f"{name}.mix", open_end=False)
        self.chain = Chain(state, f"{name}.chain")
        self.bounds = state[f"{name}.bounds"].astype(np.float32)
        self.layers, self.size = len(self.embedding), self.bounds.shape[2]

    def draw(self, known: Array, condition: Array, words: Words) -> Array:
        """Standardised numbers (B, L, size); zeros where a layer is not hit.

        Args:
            known: (B, L, 3) standardised energy and hits, and 1 where the layer is hit; else 0.
            condition: (B, C) standardised.
            words: (B, 2) random states, advanced.
        """
        rows = len(known)
        everything = np.concatenate([condition, known.reshape(rows, -1)], axis=1)
        context = self.context(everything)
        memory = np.zeros((rows, self.memory.size), dtype=np.float32)
        last = np.zeros((rows, self.size), dtype=np.float32)
        before = np.zeros((rows, CONTEXT), dtype=np.float32)
        out = np.zeros((rows, self.layers, self.size), dtype=np.float32)
        for layer in range(self.layers):
            place = np.broadcast_to(self.embedding[layer], (rows, self.embedding.shape[1]))
            x = np.concatenate([last, known[:, layer], before, context, place], axis=1)
            x = self.before(x)
            silu(x)
            memory = self.memory(x, memory)
            h = self.mix(np.concatenate([memory, x], axis=1))
            inner = self.chain.first(h)
            last = np.empty((rows, self.size), dtype=np.float32)
            hit: NDArray[np.bool_] = known[:, layer, 2] > 0
            draw_chains(
                inner.reshape(rows, self.size, -1), self.chain.earlier, self.chain.last,
                self.chain.last_bias, self.bounds[layer], hit, words, last,
            )  # fmt: skip
            out[:, layer] = last
            before = known[:, layer]
        return out
