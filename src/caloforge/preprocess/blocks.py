"""Cells of a calorimeter of several regular blocks as one 3-D image per block (ECAL, HCAL)."""

from __future__ import annotations

import torch

from caloforge.geometry import Calorimeter
from caloforge.geometry.blocks import blocks_of


class BlockImages:
    """Reorders (B, n_cells) to one image (B, 1, x, y, depth) per block of equal layers."""

    def __init__(self, calorimeter: Calorimeter) -> None:
        self.blocks = blocks_of(calorimeter)

    def __call__(self, cells: torch.Tensor) -> list[torch.Tensor]:
        """(B, n_cells) -> a (B, 1, x, y, depth) image per block, front to back."""
        parts = torch.split(cells, [block.n_cells for block in self.blocks], dim=1)
        return [
            part.reshape(-1, 1, block.n_layers, block.n_i, block.n_j).permute(0, 1, 3, 4, 2)
            for part, block in zip(parts, self.blocks, strict=True)
        ]
