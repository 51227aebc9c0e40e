"""The shape stage: centres, widths and learned numbers of every layer, front to back.

Twin of :class:`caloforge.models.layered.shapes.ShapeStage`, drawing instead of learning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, Doubles, State, Words
from caloforge.sampling.compiled import compiled
from caloforge.sampling.mixtures import Chain, draw_chains
from caloforge.sampling.networks import (
    Linear,
    Memory,
    Perceptron,
    Remembered,
    add_bias,
    add_silu,
    memory_of,
    start_memory,
    step_memory,
    zeros,
)
from caloforge.sampling.products import multiply, product

CONTEXT = 3
"""What the stage knows of a layer: its energy, its hits, whether it is hit."""


def told_of(standard: Doubles, hit: NDArray[np.bool_], crossing: Doubles) -> Array:
    """What the stage knows of layers (B, L, n), see :meth:`ShapeStage.draw`.

    Args:
        standard: (B, L, 2) standardised energy and hits.
        hit: (B, L) layers with hits.
        crossing: see :meth:`.frame.Frame.crossing`.
    """
    parts = [np.where(hit[..., None], standard, 0.0), hit[..., None], crossing]
    return np.concatenate(parts, axis=2, dtype=np.float32)


class Networks(NamedTuple):
    """The networks that see one layer after the other.

    ``from_last`` (size, n) what was drawn last enters the input; ``memory``; ``first`` and what
    follows: the chain's weights, see :class:`.mixtures.Chain`; ``bounds`` (L, 2, size): lowest and
    highest values.
    """

    from_last: Array
    memory: Memory
    first: Array
    first_bias: Array
    earlier: Array
    last: Array
    last_bias: Array
    bounds: Array


class ShapeStage:
    """Draws what describes the layers of showers, beside their energies and hits."""

    def __init__(self, state: State, name: str) -> None:
        self.embedding = state[f"{name}.embedding.weight"].astype(np.float32)
        self.context = Perceptron(state, f"{name}.context", open_end=True)
        chain = Chain(state, f"{name}.chain")
        before = Linear(state, f"{name}.before")
        # the input of a layer: what was drawn last, then what is known beforehand
        bounds = state[f"{name}.bounds"].astype(np.float32)
        size = bounds.shape[2]
        from_last, self.from_known = (
            np.ascontiguousarray(part) for part in np.split(before.weight, [size])
        )
        self.before_bias = before.bias
        self.networks = Networks(
            from_last, memory_of(state, f"{name}.memory", f"{name}.mix.0"), chain.first.weight,
            chain.first.bias, chain.earlier, chain.last, chain.last_bias, bounds,
        )  # fmt: skip

    def draw(self, known: Array, condition: Array, words: Words) -> Array:
        """Standardised numbers (B, L, size); zeros where a layer is not hit.

        Args:
            known: (B, L, n) standardised energy and hits, and 1 where the layer is hit; else 0;
                then where the line crosses it, see :func:`told_of`.
            condition: (B, C) standardised.
            words: (B, 2) random states, advanced.
        """
        rows, (layers, _, size) = len(known), self.networks.bounds.shape
        out = np.zeros((rows, layers, size), dtype=np.float32)
        hit = np.ascontiguousarray(known[:, :, 2].T)
        last, x = zeros(rows, size), zeros(rows, len(self.before_bias))
        inner = zeros(rows, len(self.networks.first_bias))
        at = start_memory(self.networks.memory, rows)
        beforehand = self._beforehand(known, condition)
        _draw_layers(self.networks, beforehand, hit, last, x, inner, at, words, out)
        return out

    def _beforehand(self, known: Array, condition: Array) -> Array:
        """What is known of all layers enters their inputs (L, B, n) at once."""
        rows, layers = len(known), len(self.embedding)
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


@compiled
def _draw_layers(
    networks: Networks,
    beforehand: Array,
    hit: Array,
    last: Array,
    x: Array,
    inner: Array,
    at: Remembered,
    words: Words,
    out: Array,
) -> None:
    """One layer after the other, all in compiled code: threads do not wait for each other.

    Args:
        networks: those of the stage.
        beforehand: (L, B, n) what is known enters the inputs.
        hit: (L, B) 1 where the layer is hit.
        last, x, inner: room for what was drawn last, the inputs, the chain's inner values.
        at: the memory before the first layer.
        words: (B, 2) random states, advanced.
        out: (B, L, size) result.
    """
    from_last, given = np.empty_like(x), np.empty_like(at.said)
    rows, size = out.shape[0], out.shape[2]
    chains = inner.reshape(inner.shape[0], size, inner.shape[1] // size)
    for layer in range(out.shape[1]):
        multiply(last, networks.from_last, from_last)
        add_silu(beforehand[layer], from_last, x)
        multiply(x, networks.memory.from_input, given)
        add_bias(given, networks.memory.input_bias)
        step_memory(networks.memory, given, at)
        multiply(at.out, networks.first, inner)
        add_bias(inner, networks.first_bias)
        draw_chains(
            chains, networks.earlier, networks.last, networks.last_bias, networks.bounds[layer],
            hit[layer], words, last,
        )  # fmt: skip
        out[:, layer] = last[:rows]
