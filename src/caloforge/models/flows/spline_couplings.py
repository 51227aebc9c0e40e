"""Coupling layers of rational-quadratic splines, one pass in both directions.

Every layer moves about half of the features by monotonic splines, whose knots a small network
tells from the other half and the context. Layers come in pairs: a random half, then the other one.

Source: C. Durkan et al., Neural spline flows, arXiv:1906.04032; for calorimeters F. Ernst et al.,
CaloINN, arXiv:2312.09290. The splines are the library zuko's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from zuko.transforms import MonotonicRQSTransform

from caloforge.models.twostage import Stage

LOG_2PI = math.log(2.0 * math.pi)

SMALL = 0.1
"""Of the last linear layers at first: splines begin near the identity, where the density is
nearly right; else they move numbers by a good part of their bound."""


class SplineCouplings(Stage):
    """A density of (B, features) given (B, context), and how to draw from it.

    Args:
        features: how many numbers.
        context: size of the context.
        blocks: coupling layers.
        hidden: sizes of the inner layers of every layer's network.
        bins: pieces of a spline.
        bound: splines act inside [-bound, bound]; outside nothing happens.
    """

    def __init__(
        self,
        features: int,
        context: int,
        *,
        blocks: int,
        hidden: Sequence[int],
        bins: int,
        bound: float,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _Coupling(order, context, hidden, bins, bound) for order in _orders(features, blocks)
        )

    def forward(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Normal numbers (B, features) -> a draw from the density."""
        for block in reversed(self.blocks):
            noise = block(noise, context)
        return noise

    def loss(self, value: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Minus ln p per feature."""
        with torch.autocast(value.device.type, enabled=False):
            total = torch.zeros_like(value[:, 0])
            for block in self.blocks:
                assert isinstance(block, _Coupling)
                value, volume = block.towards_noise(value, context)
                total = total + volume
            normal = -0.5 * (value.square() + LOG_2PI).sum(-1)
        return -(normal + total).mean() / value.shape[1]


class _Coupling(nn.Module):
    """Splines of the last half of the features in ``order``, given the first ones."""

    def __init__(
        self, order: torch.Tensor, context: int, hidden: Sequence[int], bins: int, bound: float
    ) -> None:
        super().__init__()
        self.bins, self.bound, self.moved = bins, bound, _half(len(order))
        self.kept = len(order) - self.moved
        self.order: torch.Tensor = nn.Buffer(order)
        self.back: torch.Tensor = nn.Buffer(order.argsort())
        sizes = [self.kept + context, *hidden, self.moved * (3 * bins - 1)]
        parts: list[nn.Module] = []
        for before, after in pairwise(sizes):
            parts += [nn.Linear(before, after), nn.ReLU()]
        self.network = nn.Sequential(*parts[:-1])
        with torch.no_grad():
            for parameter in parts[-2].parameters():
                parameter.mul_(SMALL)

    def forward(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """From noise to data, (B, features)."""
        kept, moved = self._halves(noise)
        return self._whole(kept, self._spline(kept, context).inv(moved))

    def towards_noise(
        self, value: torch.Tensor, context: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From data to noise (B, features), and ln of the change of volume (B,)."""
        kept, moved = self._halves(value)
        moved, volume = self._spline(kept, context).call_and_ladj(moved)
        return self._whole(kept, moved), volume.sum(-1)

    def _halves(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept, moved = x.index_select(1, self.order).split_with_sizes([self.kept, self.moved], 1)
        return kept, moved

    def _whole(self, kept: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        return torch.cat([kept, moved], 1).index_select(1, self.back)

    def _spline(self, kept: torch.Tensor, context: torch.Tensor) -> MonotonicRQSTransform:
        raw = self.network(torch.cat([kept, context], 1)).unflatten(1, (self.moved, -1))
        knots = raw.split_with_sizes([self.bins, self.bins, self.bins - 1], -1)
        return MonotonicRQSTransform(*knots, bound=self.bound)


def _half(features: int) -> int:
    """How many features a block moves: the smaller half, but at least one."""
    return max(1, features // 2)


def _orders(features: int, blocks: int) -> list[torch.Tensor]:
    """Orders of the features (features,), random ones and as random but the other half moved."""
    generator = torch.Generator().manual_seed(features)
    orders: list[torch.Tensor] = []
    while len(orders) < blocks:
        order = torch.randperm(features, generator=generator, device="cpu")
        orders += [order, order.roll(_half(features))]
    return orders[:blocks]
