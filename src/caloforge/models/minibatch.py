"""Minibatch discrimination: how near a shower is to the others of its batch.

T. Salimans et al., "Improved Techniques for Training GANs" (2016), section 3.2: from features
x (B, D) a tensor M = x W (B, F, V), and the features sum_j exp(-|M_i - M_j|_1), j running over the
whole batch, i itself included. A generator that makes the same shower again and again is seen. (The
public codes of CaloGAN and LAGAN add a bias to M: it cancels in the difference and never learns, so
there is none here, and F x V parameters less.)

What it means for several processes: the batch is that of all processes together. Each of them
gathers the rows of the others, with gradient, so that two processes of half a batch each do what
one does with the whole batch; all must have equally many showers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn

from caloforge.models import keras
from caloforge.models.draws import share
from caloforge.models.locally_connected import Fans, fans


class _Gather(torch.autograd.Function):
    """All processes' rows; the gradient of a row is the sum over the processes that looked at it.

    (torch.distributed.nn's own is deprecated, and mixes up the gradients of rows that do not lie in
    memory one behind the other.)
    """

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> (world * B, ...)."""
        parts = [torch.empty_like(rows) for _ in range(share()[1])]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """This process's rows of the sum of all gradients."""
        rank, world = share()
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.chunk(world)[rank]


def rows_of_all(rows: torch.Tensor) -> torch.Tensor:
    """(B, ...) rows of this process -> (world * B, ...) rows of all, with gradient."""
    if share()[1] == 1:
        return rows
    gathered: torch.Tensor = _Gather.apply(rows.contiguous())  # type: ignore[no-untyped-call]
    return gathered


class MinibatchDiscrimination(nn.Module):
    """``features`` numbers per shower from distances in ``dimension`` dimensions."""

    def __init__(
        self, size: int, features: int = 10, dimension: int = 10, which: Fans = "keras"
    ) -> None:
        super().__init__()
        shape = (features, size, dimension)
        self.weight = nn.Parameter(torch.empty(shape))
        keras.fill(self.weight, "glorot_uniform", *fans(shape, which))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B, features), each between 1 and the size of the whole batch."""
        with torch.autocast(x.device.type, enabled=False):
            here = torch.einsum("bd,fdv->fbv", x.float(), self.weight)
            everywhere = rows_of_all(here.transpose(0, 1)).transpose(0, 1)
            distance = torch.cdist(here, everywhere.contiguous(), p=1.0)
            return torch.exp(-distance).sum(dim=2).T
