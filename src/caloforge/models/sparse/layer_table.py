"""Cells as a table with a row for every layer, for networks that take them layer by layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from caloforge.geometry import Calorimeter


class LayerTable(nn.Module):
    """Puts cells (B, n_cells, ...) into a table (B, L, C, ...) and back; C: cells of the largest.

    Where the layers have the same number of cells, this only says where a layer ends; else shorter
    rows are filled up. Its tables are no part of a model's state.

    Args:
        calorimeter: any.
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        super().__init__()
        sizes = np.diff(calorimeter.layer_offset)
        self.layers, self.columns = len(sizes), int(sizes.max())
        self.even = bool((sizes == self.columns).all())
        column = np.arange(self.columns)
        there = column < sizes[:, None]
        cell = np.where(there, calorimeter.layer_offset[:-1, None] + column, calorimeter.n_cells)
        self.cell: torch.Tensor = nn.Buffer(torch.from_numpy(cell.ravel()), persistent=False)
        self.there: torch.Tensor = nn.Buffer(
            torch.from_numpy(there.astype(np.float32)), persistent=False
        )
        """(L, C): 1 where the table has a cell."""
        self.place: torch.Tensor = nn.Buffer(
            torch.from_numpy(np.flatnonzero(there.ravel())), persistent=False
        )

    def rows(self, cells: torch.Tensor, fill: float = 0.0) -> torch.Tensor:
        """(B, n_cells, ...) -> (B, L, C, ...); what is no cell has the value ``fill``."""
        if not self.even:
            end = torch.full_like(cells[:, :1], fill)
            cells = torch.cat([cells, end], 1).index_select(1, self.cell)
        return cells.reshape(cells.shape[0], self.layers, self.columns, *cells.shape[2:])

    def cells(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, L, C, ...) -> (B, n_cells, ...)."""
        flat = rows.flatten(1, 2)
        return flat if self.even else flat.index_select(1, self.place)
