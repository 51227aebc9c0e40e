"""The shape stage: ln p of the layers' centres, widths and learned numbers.

From the front to the back, with a recurrent state, given the energies and hits of all layers.
Twin: :mod:`caloforge.sampling.shapes`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.mixtures import Chain, perceptron
from caloforge.sampling.shapes import CONTEXT

EMBEDDING = 16
GLOBAL = 64
HIDDEN = 96
SMEAR = (0.02, 0.02, 0.04, 0.04)
"""Smearing of the standardised centres and widths: a single hit has widths of exactly 0."""

LATENT_BOUND = 5.0


class ShapeStage(nn.Module):
    """Density of centres, widths and learned numbers.

    Args:
        layers: number of layers.
        conditions: number of condition columns.
        config: sizes.
    """

    def __init__(self, layers: int, conditions: int, config: LayeredConfig) -> None:
        super().__init__()
        self.layers, self.size = layers, len(SMEAR) + config.latents
        memory = config.shape_memory
        told = CONTEXT + config.crossings
        self.embedding = nn.Embedding(layers, EMBEDDING)
        self.context = perceptron([conditions + told * layers, HIDDEN, GLOBAL], open_end=True)
        self.before = nn.Linear(self.size + 2 * told + GLOBAL + EMBEDDING, HIDDEN)
        self.memory = nn.GRU(HIDDEN, memory, batch_first=True)
        self.mix = perceptron([memory + HIDDEN, memory], open_end=False)
        self.chain = Chain(memory, self.size, config.width, config.components)
        self.bounds: torch.Tensor = nn.Buffer(torch.zeros(layers, 2, self.size))

    def fit(self, bounds: torch.Tensor) -> None:
        """Take the range (2, L, 4) of standardised centres and widths."""
        self.bounds[:, 0] = -LATENT_BOUND
        self.bounds[:, 1] = LATENT_BOUND
        self.bounds[:, :, : len(SMEAR)] = bounds.transpose(0, 1)

    def loss(
        self, value: torch.Tensor, known: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        """Minus ln p per shower.

        Args:
            value: (B, L, size) standardised centres, widths and learned numbers; 0 if not hit.
            known: (B, L, n) standardised energy and hits, and 1 where the layer is hit; else 0;
                in frames with a margin where the line crosses its cell.
            condition: (B, C) standardised.
        """
        context = self.context(torch.cat([condition, known.flatten(1)], dim=-1))
        context = context[:, None].expand(-1, self.layers, -1)
        place = self.embedding.weight.expand(len(value), -1, -1)
        x = torch.cat([_shifted(value), known, _shifted(known), context, place], dim=-1)
        x = F.silu(self.before(x))
        h = self.mix(torch.cat([self.memory(x)[0], x], dim=-1))
        density: torch.Tensor = self.chain(h, value) * known[..., 2:3]
        return -density.sum((-1, -2)).mean()


def _shifted(value: torch.Tensor) -> torch.Tensor:
    """The same one layer later, zeros first."""
    return torch.cat([torch.zeros_like(value[:, :1]), value[:, :-1]], dim=1)
