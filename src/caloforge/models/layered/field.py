"""Which cells are hit: a Markov field, since a track that crosses a side hits two cells.

Hits s (0 or 1) of a layer have ln p = sum s_i l_i + sum over cells that share a side s_i s_j J_ij,
up to a constant, with exp(J_ij) = 1 + exp((c_i + c_j - l_i - l_j) / 2): the fewer hits a cell has
of its own, the likelier it owes one to its neighbour. The logits l come from the decoder, the
couplings c belong to the layer and the group of cells.

Learned from the pseudo-likelihood, the probability of every cell given all others (J. Besag,
The Statistician 24 (1975) 179).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from caloforge.models.layered.hits import Hits
from caloforge.sampling.grid import RINGS, LayerGrid

BEGIN = -3.0
"""Coupling before training: a hit in 20 crosses a given side."""


class Field(nn.Module):
    """The distribution of the hits of layers.

    Args:
        grid: the layers and their cells.
        group: (C,) the group of every cell.
    """

    def __init__(self, grid: LayerGrid, group: NDArray[np.int64]) -> None:
        super().__init__()
        first = np.unique(group, return_index=True)[1]
        self.coupling = nn.Parameter(torch.full((len(grid.number), len(first)), BEGIN))
        self.rings = nn.Parameter(torch.zeros(len(grid.number), RINGS))
        ring = torch.from_numpy(grid.ring[:, first])
        self.ring: torch.Tensor = nn.Buffer(ring, persistent=False)
        self.beside: torch.Tensor = nn.Buffer(torch.from_numpy(grid.beside), persistent=False)
        self.group: torch.Tensor = nn.Buffer(torch.from_numpy(group), persistent=False)

    def couplings(self) -> torch.Tensor:
        """c of every layer and group (layers, groups); those of rings are learned much faster."""
        return self.coupling + self.rings.gather(1, self.ring)

    def _links(self, logits: torch.Tensor, hits: Hits) -> tuple[torch.Tensor, torch.Tensor]:
        """J (m,) between hits and the cells beside them, hit or not; these cells' places."""
        layer, flat, group = hits.layer, logits.flatten(), self.group
        beside = self.beside[layer, hits.cell]
        which, side = (beside >= 0).nonzero(as_tuple=True)
        coupling, of_layer = self.couplings().flatten(), layer * self.coupling.shape[1]
        own = coupling.index_select(0, of_layer + group[hits.cell])
        own = own - flat.index_select(0, hits.place)
        there = hits.places(beside)[which, side]
        others = coupling.index_select(0, of_layer[which] + group[beside[which, side]])
        others = others - flat.index_select(0, there)
        return F.softplus(0.5 * (own.index_select(0, which) + others)), there

    def given(self, logits: torch.Tensor, hits: Hits) -> torch.Tensor:
        """Logits (C, B, L) of every cell given all the others, from its own logits."""
        link, there = self._links(logits, hits)
        return logits.flatten().index_add(0, there, link).view_as(logits)

    def pseudo(self, logits: torch.Tensor, hits: Hits, weight: torch.Tensor) -> torch.Tensor:
        """Minus the logarithm of the pseudo-likelihood per shower.

        Args:
            logits: (C, B, L).
            hits: of the showers.
            weight: (B, L), how much the layers count.
        """
        given = self.given(logits, hits)
        full = hits.sums(given.flatten().index_select(0, hits.place)[:, None])[..., 0]
        return ((F.softplus(given).sum(0) - full) * weight).sum() / hits.showers

    def energy(self, logits: torch.Tensor, hits: Hits) -> torch.Tensor:
        """Minus ln p per shower, but for the constant; logits (C, B, L)."""
        link, there = self._links(logits, hits)
        pairs = 0.5 * (link * hits.mask()[there]).sum()
        return -(logits.flatten().index_select(0, hits.place).sum() + pairs) / hits.showers
