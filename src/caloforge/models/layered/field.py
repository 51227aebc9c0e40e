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

from caloforge.sampling.grid import LayerGrid

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
        layers, cells = grid.number.shape
        self.coupling = nn.Parameter(torch.full((layers, int(group.max()) + 1), BEGIN))
        place = np.arange(layers * cells).reshape(layers, cells, 1)
        other = np.where(grid.beside >= 0, grid.beside + place[:, :1], -1)
        pairs = np.stack([np.broadcast_to(place, other.shape), other])[:, other > place]
        self.pair: torch.Tensor = nn.Buffer(torch.from_numpy(pairs), persistent=False)
        """(2, pairs): cells that share a side, of all layers, the layers one after the other."""
        self.group: torch.Tensor = nn.Buffer(torch.from_numpy(group), persistent=False)

    def _links(
        self, logits: torch.Tensor, hit: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """J (n,) of the pairs with a hit; places in the flat batch and hits (2, n) of both."""
        flat_hit = hit.flatten(1)
        shower, which = (flat_hit[:, self.pair[0]] | flat_hit[:, self.pair[1]]).nonzero(
            as_tuple=True
        )
        pair = self.pair[:, which]
        coupling = 0.5 * self.coupling[:, self.group].flatten()[pair].sum(0)
        place = pair + shower * flat_hit.shape[1]
        link = F.softplus(coupling - 0.5 * logits.flatten()[place].sum(0))
        return link, place, hit.flatten()[place].float()

    def pseudo(
        self, logits: torch.Tensor, hit: torch.Tensor, hit_layer: torch.Tensor
    ) -> torch.Tensor:
        """Minus the logarithm of the pseudo-likelihood per shower.

        Args:
            logits: (B, L, C).
            hit: (B, L, C) flags.
            hit_layer: (B, L) layers that count.
        """
        link, place, both = self._links(logits, hit)
        given = logits.flatten()
        given = given.index_add(0, place[0], link * both[1]).index_add(0, place[1], link * both[0])
        odds = F.binary_cross_entropy_with_logits(
            given.view_as(logits), hit.float(), reduction="none"
        )
        return (odds.sum(-1) * hit_layer).sum() / len(hit)

    def energy(self, logits: torch.Tensor, hit: torch.Tensor) -> torch.Tensor:
        """Minus ln p per shower, but for the constant."""
        link, _, both = self._links(logits, hit)
        return -((logits * hit).sum() + (link * both[0] * both[1]).sum()) / len(hit)
