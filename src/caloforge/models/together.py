"""Sums and rows over all processes of a training, with gradients.

The loss of a training on W processes is the mean of theirs. What one process makes of numbers of
all of them has gradients on all of them: the backward pass adds those up, so that after averaging
over the processes the gradient is that of the mean loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed
from torch.autograd import Function

from caloforge.models.draws import share


@torch.compiler.disable  # type: ignore[untyped-decorator]
def total(x: torch.Tensor) -> torch.Tensor:
    """The sum of ``x`` over all processes, the same on each; ``x`` itself alone."""
    return x if share()[1] == 1 else _apply(_Total, x)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def rows_of_all(x: torch.Tensor) -> torch.Tensor:
    """(B, ...) rows of this process -> (W B, ...) rows of all W, in order; ``x`` itself alone.

    All processes need equally many rows.
    """
    return x if share()[1] == 1 else _apply(_Rows, x)


def _apply(function: Any, x: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = function.apply(x)
    return made


def _sum(x: torch.Tensor) -> torch.Tensor:
    summed = x.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(summed)
    return summed


class _Total(Function):
    @staticmethod
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        return _sum(x)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _sum(gradient)


class _Rows(Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        rank, world = share()
        context.mine = slice(rank * len(x), (rank + 1) * len(x))
        mine = x.contiguous()
        everybody = [torch.empty_like(mine) for _ in range(world)]
        distributed.all_gather(everybody, mine)
        return torch.cat(everybody)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _sum(gradient)[context.mine]
