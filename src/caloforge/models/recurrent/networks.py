"""The networks that make one layer from what came before; all layers share them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from caloforge.models.layered.mixtures import perceptron

EMBEDDING = 16


@dataclass(frozen=True)
class Sizes:
    """``cells``: of the largest layer; ``known``: numbers known of a layer before it is made."""

    layers: int
    cells: int
    known: int
    latents: int
    memory: int
    hidden: int
    size: int
    """Numbers that the decoder gives for every cell."""


class Layers(nn.Module):
    """Latents, cells and memory of a layer, given the memory of the layers in front of it.

    Args:
        sizes: see :class:`Sizes`.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        s = self.sizes = sizes
        told = s.known + EMBEDDING
        self.embedding = nn.Embedding(s.layers, EMBEDDING)
        self.look = perceptron([2 * s.cells, s.hidden, s.hidden], open_end=False)
        self.prior = perceptron([s.memory + told, s.hidden, 2 * s.latents], open_end=True)
        self.posterior = perceptron(
            [s.memory + told + s.hidden, s.hidden, 2 * s.latents], open_end=True
        )
        self.memory = nn.GRUCell(s.hidden + s.latents + told, s.memory)
        self.decoder = perceptron(
            [s.memory + told + s.latents, s.hidden, s.hidden, s.cells * s.size], open_end=True
        )
        last = self.decoder[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():  # begin near the usual shower
            last.weight.mul_(0.1)
            last.bias.zero_()

    def told(self, known: torch.Tensor) -> torch.Tensor:
        """What is known of every layer (B, L, n), with its place in the calorimeter."""
        place = self.embedding.weight.expand(known.shape[0], -1, -1)
        return torch.cat([known, place], -1)

    def seen(self, hit: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Summary (..., hidden) of a layer's hits and levels, each (..., C)."""
        summary: torch.Tensor = self.look(torch.cat([hit, level], -1))
        return summary

    def start(self, told: torch.Tensor) -> torch.Tensor:
        """The memory (B, memory) in front of the calorimeter."""
        return told.new_zeros(told.shape[0], self.sizes.memory)

    def before(self, memory: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and ln of variances of a layer's latents before it is seen."""
        mean, log_variance = self.prior(torch.cat([memory, told], -1)).chunk(2, -1)
        return mean, log_variance

    def after(
        self, memory: torch.Tensor, told: torch.Tensor, seen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same when it has been seen."""
        inputs = torch.cat([memory, told, seen], -1)
        mean, log_variance = self.posterior(inputs).chunk(2, -1)
        return mean, log_variance

    def remember(
        self,
        memory: torch.Tensor,
        told: torch.Tensor,
        seen: torch.Tensor,
        latents: torch.Tensor,
    ) -> torch.Tensor:
        """The memory (B, memory) behind a layer."""
        new: torch.Tensor = self.memory(torch.cat([seen, latents, told], -1), memory)
        return new

    def cells(
        self, memory: torch.Tensor, told: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor:
        """Numbers (..., C, size) of a layer's cells."""
        flat: torch.Tensor = self.decoder(torch.cat([memory, told, latents], -1))
        return flat.reshape(*flat.shape[:-1], self.sizes.cells, self.sizes.size)
