"""A calorimeter as blocks of layers with the same cells: one dense image per block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from caloforge.geometry.calorimeter import Calorimeter


@dataclass(frozen=True)
class Block:
    """Consecutive layers of ``n_i`` x ``n_j`` cells."""

    first_layer: int
    n_layers: int
    n_i: int
    n_j: int

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.n_layers * self.n_i * self.n_j


def blocks_of(calorimeter: Calorimeter) -> tuple[Block, ...]:
    """The longest runs of layers with one segmentation, front to back."""
    blocks: list[Block] = []
    first = 0
    for segmentation, layers in groupby(calorimeter.layers, lambda layer: layer.segmentation):
        number = len(list(layers))
        blocks.append(Block(first, number, *segmentation.shape))
        first += number
    return tuple(blocks)
