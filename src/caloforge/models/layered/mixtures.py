"""Densities of numbers that come one after the other: mixtures of Gaussians, each given the former.

A masked autoregressive density (G. Papamakarios et al., NeurIPS 2017) whose one-dimensional
conditionals are mixtures (C. Bishop, "Mixture density networks", 1994).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.models.keras import Dropout
from caloforge.sampling.mixtures import SPREAD

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def log_density(parameters: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """ln p of ``value`` (...,) for mixtures (..., 3 K): logits, means, logarithms of spreads."""
    logits, mean, spread = parameters.float().chunk(3, dim=-1)
    spread = spread.clamp(*SPREAD)
    pull = (value.float()[..., None] - mean) * torch.exp(-spread)
    parts = logits.log_softmax(-1) - 0.5 * pull**2 - spread - _HALF_LOG_2PI
    return torch.logsumexp(parts, dim=-1)


def begin_apart(bias: torch.Tensor, components: int) -> None:
    """Start the means of the components at different places."""
    with torch.no_grad():
        bias[..., components : 2 * components] = torch.linspace(-1.5, 1.5, components)


def perceptron(sizes: list[int], *, open_end: bool, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with SiLU between them, and after the last one unless ``open_end``."""
    parts: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        parts.append(nn.Linear(before, after))
        if number + 2 < len(sizes) or not open_end:
            parts.append(nn.SiLU())
            if dropout:
                parts.append(Dropout(dropout))
    return nn.Sequential(*parts)


class Chain(nn.Module):
    """p(v_d | v_<d, h) for ``size`` numbers v: one small network with ``width`` inner values each.

    Args:
        inputs: size of h.
        size: how many numbers.
        width: inner values of each.
        components: Gaussians of each.
    """

    def __init__(self, inputs: int, size: int, width: int, components: int) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.first = nn.Linear(inputs, size * width)
        self.earlier = nn.Parameter(0.1 * torch.randn(size, size, width))
        """From a number to the inner values of another; used for later ones only."""
        self.last = nn.Parameter(0.1 * torch.randn(size, width, 3 * components))
        self.last_bias = nn.Parameter(torch.zeros(size, 3 * components))
        begin_apart(self.last_bias, components)

    def forward(self, h: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """ln p (..., size) of ``value`` (..., size) given h (..., inputs)."""
        later = torch.ones(self.size, self.size, device=h.device).triu(1)
        earlier = (self.earlier * later[..., None]).flatten(1)
        inner = self.first(h) + value @ earlier
        inner = inner.view(*inner.shape[:-1], self.size, self.width)
        parameters = torch.einsum("...sw,swk->...sk", F.silu(inner), self.last)
        return log_density(parameters.float() + self.last_bias, value)
