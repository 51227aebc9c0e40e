"""Attention from layer to layer ("trainable in-painting"): a layer may take over from the last one.

Source: M. Paganini, L. de Oliveira, B. Nachman, Phys. Rev. D 97 (2018) 014021, section III.
"""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models.keras2d import AveragePooling2D, Pair, UpSampling2D, ZeroPadding2D
from caloforge.models.locally_connected import LocallyConnected2D

CLOSED = -10.0
"""First bias of the weight of the layer before: at first nothing is taken over."""


class Resize(nn.Module):
    """An image with the cells of the next layer: repeated where finer, averaged where coarser."""

    def __init__(self, before: Pair, after: Pair) -> None:
        super().__init__()
        (x, y), (u, v) = before, after
        self.finer = UpSampling2D((max(1, u // x), max(1, v // y)))
        self.coarser = AveragePooling2D((max(1, x // u), max(1, y // v)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, C) -> (B, U, V, C)."""
        resized: torch.Tensor = self.coarser(self.finer(image))
        return resized


class InPainting(nn.Module):
    """In every cell a weighted mean of what this layer made and of what the last one had there."""

    def __init__(self, before: Pair, shape: Pair) -> None:
        super().__init__()
        x, y = shape
        self.resize = Resize(before, shape)
        self.pad = ZeroPadding2D((1, 1))
        self.weigh = LocallyConnected2D((x + 2, y + 2), (2, 2), (3, 3))
        assert self.weigh.bias is not None
        nn.init.constant_(self.weigh.bias[..., -1], CLOSED)

    def forward(self, image: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Images (B, X, Y, 1) of this layer and of the one before -> (B, X, Y, 1)."""
        both = torch.cat([image, self.resize(before)], dim=-1)
        weights = torch.softmax(self.weigh(self.pad(both)), dim=-1)
        return (both * weights).sum(dim=-1, keepdim=True)
