"""Minibatch discrimination: how near a shower is to the others of its batch.

T. Salimans et al., "Improved Techniques for Training GANs" (2016), section 3.2: from features
x (B, D) a tensor M = x W + b (B, F, V), and the features sum_j exp(-|M_i - M_j|_1), j running over
the whole batch, i itself included. A generator that makes the same shower again and again is seen.

What it means for several processes: the batch is that of all processes together. Each of them
gathers the rows of the others, with gradient, so that two processes of half a batch each do what
one does with the whole batch; all must have equally many showers.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.nn import functional as distributed

from caloforge.models import keras
from caloforge.models.draws import share
from caloforge.models.locally_connected import Fans, fans


def rows_of_all(rows: torch.Tensor) -> torch.Tensor:
    """(B, ...) rows of this process -> (world * B, ...) rows of all, with gradient."""
    if share()[1] == 1:
        return rows
    gathered = distributed.all_gather(rows)  # type: ignore[no-untyped-call]
    return torch.cat(gathered)


class MinibatchDiscrimination(nn.Module):
    """``features`` numbers per shower from distances in ``dimension`` dimensions."""

    def __init__(
        self, size: int, features: int = 10, dimension: int = 10, which: Fans = "keras"
    ) -> None:
        super().__init__()
        shape = (features, size, dimension)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(features, dimension))
        keras.fill(self.weight, "glorot_uniform", *fans(shape, which))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B, features), each between 1 and the size of the whole batch."""
        with torch.autocast(x.device.type, enabled=False):
            projected = torch.einsum("bd,fdv->fbv", x.float(), self.weight)
            here = projected + self.bias[:, None]  # (F, B, V)
            everywhere = rows_of_all(here.transpose(0, 1).contiguous()).transpose(0, 1)
            distance = torch.cdist(here, everywhere.contiguous(), p=1.0)
            return torch.exp(-distance).sum(dim=2).T
