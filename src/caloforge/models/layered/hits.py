"""Hits of a batch of showers in their frames: what the layered model learns from.

An electron hits one cell in twenty; only the odds of a hit are needed for every cell.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Hits(NamedTuple):
    """Sparse cells of B showers of L layers: ``row`` is shower * L + layer.

    ``row`` and ``cell``, the place in the frame, (n,); ``energy`` (n,) MeV; ``size`` = (C, B, L),
    the shape of what is said of every cell.
    """

    row: torch.Tensor
    cell: torch.Tensor
    energy: torch.Tensor
    size: torch.Size

    @property
    def showers(self) -> int:
        """Number of showers, B."""
        return self.size[1]

    @property
    def layer(self) -> torch.Tensor:
        """Layers (n,)."""
        return self.row % self.size[2]

    @property
    def place(self) -> torch.Tensor:
        """Places (n,) in a flat (C, B, L)."""
        return self.places(self.cell)

    def places(self, cell: torch.Tensor) -> torch.Tensor:
        """Places in a flat (C, B, L) of cells (n, ...) in the layers of the hits."""
        row = self.row.view(-1, *[1] * (cell.dim() - 1))
        return cell * (self.size[1] * self.size[2]) + row

    def mask(self) -> torch.Tensor:
        """Flat (C * B * L,) flags of the cells that are hit."""
        mask = torch.zeros(self.size.numel(), dtype=torch.bool, device=self.row.device)
        mask[self.place] = True
        return mask

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Values (n, k) added up over the hits of every layer: (B, L, k)."""
        rows = self.size[1] * self.size[2]
        out = torch.zeros(rows, values.shape[1], dtype=values.dtype, device=values.device)
        return out.index_add(0, self.row, values).view(*self.size[1:], -1)
