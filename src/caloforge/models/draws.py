"""Random numbers of a training step, the same whatever the number of processes.

Every process draws the numbers of the whole batch, with the same seed, and takes its own rows:
two processes with half a batch each see what one process with the whole batch sees.
"""

from __future__ import annotations

import torch
from torch import distributed


def share() -> tuple[int, int]:
    """(rank, number of processes) of this training; (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def normal(n: int, *shape: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, *shape) standard normal numbers, ``n`` being this process's part of the batch."""
    rank, world = share()
    return torch.randn(world * n, *shape, device=device)[rank * n : (rank + 1) * n]


def uniform(n: int, *shape: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, *shape) uniform numbers in [0, 1), ``n`` being this process's part of the batch."""
    rank, world = share()
    return torch.rand(world * n, *shape, device=device)[rank * n : (rank + 1) * n]
