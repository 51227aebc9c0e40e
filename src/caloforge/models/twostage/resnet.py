"""Residual networks of a noisy vector, a time and a context: the workhorse of CaloDREAM.

Published: width 256, 8 blocks for the energies (1.1 M parameters); width 2000, 2 blocks for the
shapes of 368 voxels (17.6 M). The time enters as sines of several frequencies.

Source: L. Favaro et al., CaloDREAM, arXiv:2405.09629.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

TIME_SIZE = 32
FREQUENCIES = (0.5, 32.0)
"""Slowest and fastest cycles per unit of time."""

SMALL = 0.1


class TimeEmbedding(nn.Module):
    """Times (B, 1) as sines and cosines, mixed: (B, TIME_SIZE)."""

    def __init__(self) -> None:
        super().__init__()
        low, high = (math.log(2.0 * math.pi * f) for f in FREQUENCIES)
        rates = torch.linspace(low, high, TIME_SIZE // 2).exp()
        self.rates: torch.Tensor = nn.Buffer(rates.repeat(2), persistent=False)
        phases = torch.tensor([0.0, math.pi / 2]).repeat_interleave(TIME_SIZE // 2)
        self.phases: torch.Tensor = nn.Buffer(phases, persistent=False)
        self.mix = nn.Linear(TIME_SIZE, TIME_SIZE)

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        """(B, 1) -> (B, TIME_SIZE)."""
        mixed: torch.Tensor = self.mix(torch.sin(time * self.rates + self.phases))
        return mixed


class ResNet(nn.Module):
    """(B, features), a time (B, 1) and a context (B, C) -> (B, features).

    Args:
        features: size of the vector.
        context: size of the context.
        width: inner size.
        blocks: residual blocks of two linear layers.
        gates: whether every feature also gets a small function of itself,
            a tanh(b x + l) + c x with a, b, c depending on the time and l on all: a narrow network
            for many cells cannot carry the noise of each of them, and most are empty or hit.
    """

    def __init__(
        self, features: int, context: int, width: int, blocks: int, *, gates: bool = False
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding()
        self.first = nn.Linear(features, width)
        self.blocks = nn.ModuleList(_block(width, context + TIME_SIZE) for _ in range(blocks))
        self.last = nn.Linear(width, 2 * features if gates else features)
        self.gates = nn.Linear(TIME_SIZE, 3 * features) if gates else None

    def forward(self, x: torch.Tensor, time: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """See the class."""
        embedded = self.time(time)
        beside = torch.cat([embedded, context], -1)
        h = self.first(x)
        for block in self.blocks:
            h = h + block(torch.cat([h, beside], -1))
        out: torch.Tensor = self.last(F.silu(h)).to(x.dtype)
        if self.gates is None:
            return out
        shift, place = out.chunk(2, -1)
        size, slope, straight = self.gates(F.silu(embedded)).to(x.dtype).chunk(3, -1)
        of_itself: torch.Tensor = size * torch.tanh(slope * x + place) + straight * x
        return shift + of_itself


def _block(width: int, beside: int) -> nn.Sequential:
    """Two linear layers; the last one begins small, so that the block first does little."""
    last = nn.Linear(width, width)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(SMALL)
    return nn.Sequential(nn.Linear(width + beside, width), nn.LayerNorm(width), nn.SiLU(), last)
