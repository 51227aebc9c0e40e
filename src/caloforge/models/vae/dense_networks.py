"""The two networks of Par04's variational autoencoder, layer by layer as published.

Every hidden layer is dense, LeakyReLU and batch normalisation, in this order. For the 40,500 cells
of Par04's fine mesh the encoder has 4,057,532 and the decoder 4,097,528 trainable parameters,
counted from the published layer sizes. Source: see :mod:`caloforge.models.vae.dense`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from caloforge.models.keras import LEAKY_SLOPE, initialise

CONDITIONS = 4
"""Energy, angle, and one of two geometries (one-hot)."""

SPREAD = 0.05
"""Standard deviation of the first weights of the hidden layers (Keras' RandomNormal)."""


class Leaky(nn.Module):
    """LeakyReLU as the larger of two numbers: runtimes have that in double precision, too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Element by element."""
        return torch.maximum(x, x * torch.tensor(LEAKY_SLOPE, dtype=x.dtype, device=x.device))


class Encoder(nn.Module):
    """Cells (B, n) as shares of the incident energy, conditions (B, 4) -> latents' parameters.

    Args:
        cells: number of cells n.
        hidden: sizes of the hidden layers, widest first.
        latents: number of latents.
    """

    def __init__(self, cells: int, hidden: Sequence[int], latents: int) -> None:
        super().__init__()
        self.hidden = _hidden([cells + CONDITIONS, *hidden])
        self.mean = nn.Linear(hidden[-1], latents)
        self.log_variance = nn.Linear(hidden[-1], latents)
        initialise([self.mean, self.log_variance], "glorot_uniform")

    def forward(
        self, shares: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and logarithms of the variances of the latents, each (B, latents)."""
        x = self.hidden(torch.cat([shares, condition], dim=-1))
        return self.mean(x), self.log_variance(x)


class Decoder(nn.Module):
    """Latents (B, L) and conditions (B, 4) -> logits (B, n) of the cells' shares.

    Args:
        cells: number of cells n.
        hidden: sizes of the encoder's hidden layers, widest first.
        latents: number of latents.
    """

    def __init__(self, cells: int, hidden: Sequence[int], latents: int) -> None:
        super().__init__()
        self.hidden = _hidden([latents + CONDITIONS, *reversed(hidden)])
        self.last = nn.Linear(hidden[0], cells)
        initialise([self.last], "glorot_uniform")
        self.usual: torch.Tensor = nn.Buffer(torch.zeros(cells))
        """Logits of a usual shower, which the network corrects; zero before they are taken."""

    def forward(self, latents: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The sigmoid of what comes out is a cell's share of the incident energy."""
        apart: torch.Tensor = self.last(self.hidden(torch.cat([latents, condition], dim=-1)))
        return self.usual + apart


def _hidden(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        dense = nn.Linear(before, after)
        nn.init.normal_(dense.weight, std=SPREAD)
        nn.init.zeros_(dense.bias)
        layers += [dense, Leaky(), nn.BatchNorm1d(after, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers)
