"""Random numbers of a training step, the same whatever the number of processes.

Every process draws the numbers of the whole batch, with the same seed, and takes its own rows:
two processes with half a batch each see what one process with the whole batch sees. The same holds
for a process that works through its rows in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import distributed

_PART: ContextVar[tuple[int, int]] = ContextVar("part of a process's rows", default=(0, 1))


def share() -> tuple[int, int]:
    """(rank, number of processes) of this training; (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def one_part(part: int, parts: int) -> Iterator[None]:
    """Inside, this process works on ``part`` of ``parts`` equal parts of its rows."""
    token = _PART.set((part, parts))
    try:
        yield
    finally:
        _PART.reset(token)


def place(n: int) -> tuple[int, int]:
    """(first row, number of rows) in the whole batch of the ``n`` rows that are worked on here."""
    rank, world = share()
    part, parts = _PART.get()
    return (rank * parts + part) * n, world * parts * n


def normal(n: int, *shape: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, *shape) standard normal numbers, ``n`` being this process's part of the batch."""
    first, whole = place(n)
    return torch.randn(whole, *shape, device=device)[first : first + n]


def uniform(n: int, *shape: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, *shape) uniform numbers in [0, 1), ``n`` being this process's part of the batch."""
    first, whole = place(n)
    return torch.rand(whole, *shape, device=device)[first : first + n]


def integers(below: int, n: int, *shape: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n, *shape) integers in [0, below), ``n`` being this process's part of the batch."""
    first, whole = place(n)
    return torch.randint(below, (whole, *shape), device=device)[first : first + n]


def words16(n: int, size: int) -> torch.Tensor:
    """(n, size) random int16, all values alike; costs as much as the rows that are worked on here.

    For masks of large images: the numbers of other rows are skipped, not drawn. Philox counters
    (J. Salmon et al., SC11) can do that; the key is drawn from torch.
    """
    first, _ = place(n)
    blocks = -(-size // 16)  # Philox makes 256 bits at a time
    key = int(torch.empty((), dtype=torch.int64).random_(0, None))
    generator = np.random.Philox(key=key, counter=first * blocks)
    words = generator.random_raw(n * blocks * 4).view(np.int16).reshape(n, 16 * blocks)
    return torch.from_numpy(words)[:, :size]


def generator(n: int, device: torch.device | str) -> torch.Generator:
    """A generator whose numbers belong to the ``n`` rows that are worked on here.

    For devices that cannot skip numbers: other processes and parts get others, but one process with
    the whole batch does not get those of two.
    """
    first, _ = place(n)
    key = int(torch.empty((), dtype=torch.int64).random_(0, None))
    made = torch.Generator(device)
    made.manual_seed(int(np.random.SeedSequence([key, first]).generate_state(1, np.uint64)[0] >> 1))
    return made
