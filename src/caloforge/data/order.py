"""Which showers make up which training batch: a pure function of (seed, step, rank).

Every epoch the blocks of the sample are put in a fresh random order. Consecutive blocks of that
order form pools of ``pool_hits`` hits; inside a pool the showers are shuffled uniformly. The
resulting stream is cut into as many equal parts as there are ranks, and each part into batches.

A sample that fits into one pool is shuffled uniformly. In a larger one a batch mixes showers of all
the blocks in its pool (64 with the usual sizes), so a file that is sorted, by energy for instance,
is still mixed well, though not as well as by ``caloforge convert --shuffle``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from caloforge.data.blocks import Block
from caloforge.errors import ConfigError

POOL_HITS = 1 << 24
"""Hits of a pool: 128 MiB, about 22,000 showers of lcd-ecal."""


@dataclass(frozen=True)
class Pool:
    """Shuffled together: ``blocks`` (numbers), which are showers ``start:stop`` of the stream."""

    number: int
    blocks: tuple[int, ...]
    start: int
    stop: int


class Epoch:
    """One pass over the sample."""

    def __init__(self, number: int, blocks: Sequence[Block], seed: int, pool_hits: int) -> None:
        self.number = number
        self._seed = seed
        self._pools: list[Pool] = []
        order = np.random.default_rng([seed, number]).permutation(len(blocks))
        members: list[int] = []
        hits = start = stop = 0
        for block in order.tolist():
            if members and hits + blocks[block].hits > pool_hits:
                self._pools.append(Pool(len(self._pools), tuple(members), start, stop))
                members, hits, start = [], 0, stop
            members.append(block)
            hits += blocks[block].hits
            stop += len(blocks[block])
        self._pools.append(Pool(len(self._pools), tuple(members), start, stop))

    @cached_property
    def _stops(self) -> NDArray[np.int64]:
        return np.array([pool.stop for pool in self._pools])

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Pool, NDArray[np.int64]]]:
        """Places ``start:stop`` of the stream: for every pool concerned, rows inside the pool."""
        for number in range(
            int(np.searchsorted(self._stops, start, side="right")), len(self._pools)
        ):
            pool = self._pools[number]
            if pool.start >= stop:
                return
            rows = self._shuffled(number)
            yield pool, rows[max(start, pool.start) - pool.start : stop - pool.start]

    def pools_from(self, start: int, stop: int) -> Iterator[Pool]:
        """The pools that hold places ``start:stop`` of the stream, in order."""
        for pool in self._pools:
            if pool.stop > start and pool.start < stop:
                yield pool

    @lru_cache(maxsize=2)  # noqa: B019  (an epoch lives as long as its cache)
    def _shuffled(self, number: int) -> NDArray[np.int64]:
        pool = self._pools[number]
        rng = np.random.default_rng([self._seed, self.number, number])
        return rng.permutation(pool.stop - pool.start)


class BatchPlan:
    """The batches of one rank.

    Every epoch visits every shower at most once over all ranks; what does not fill a whole batch on
    every rank is left out (other showers in every epoch). As a batch depends on nothing but the
    seed, its step and the rank, a resumed run sees the batches of one that never stopped.

    Args:
        blocks: the blocks of the sample.
        batch_size: showers per batch and rank.
        seed: same seed, same batches.
        rank: this process, 0 to ``world`` - 1.
        world: how many processes share the sample, each with batches of its own.
        part: (k, n): of every batch this process gets rows k/n to (k+1)/n; so n processes together
            have the batches of one, and each reads all of the sample.
        pool_hits: how much is shuffled at once.

    Raises:
        ConfigError: the sample is smaller than one batch on every rank, no such rank, or a batch
            has no n equal parts.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        part: tuple[int, int] = (0, 1),
        pool_hits: int = POOL_HITS,
    ) -> None:
        self.n_showers = sum(map(len, blocks))
        if not 0 <= rank < world:
            raise ConfigError(f"rank {rank} of {world} processes does not exist; count from 0")
        if batch_size * world > self.n_showers:
            most = self.n_showers // world
            raise ConfigError(
                f"training.batch_size {batch_size} exceeds the {most} training showers"
                f"{' of each process' if world > 1 else ''}; use --set "
                f"training.batch_size={max(most, 1)} or give more data"
            )
        if batch_size % part[1]:
            raise ConfigError(
                f"training.batch_size {batch_size} cannot be shared equally by {part[1]} "
                f"processes; use a multiple of {part[1]}"
            )
        self.batch_size, self.seed, self.rank = batch_size, seed, rank
        self.size = batch_size // part[1]
        """Showers of a batch that this process gets."""
        self._first = part[0] * self.size
        self.steps_per_epoch = self.n_showers // (batch_size * world)
        self._blocks, self._pool_hits = blocks, pool_hits
        self._epochs: dict[int, Epoch] = {}

    def epoch(self, number: int) -> Epoch:
        """The order of an epoch (the last two are kept)."""
        if number not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == number - 1}
            self._epochs[number] = Epoch(number, self._blocks, self.seed, self._pool_hits)
        return self._epochs[number]

    def place(self, step: int) -> tuple[int, int, int]:
        """(epoch, start, stop): where in an epoch's stream the batch of ``step`` lies."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        start = (self.rank * self.steps_per_epoch + batch) * self.batch_size + self._first
        return epoch, start, start + self.size

    def end_of_epoch(self) -> int:
        """Behind this rank's part of an epoch's stream."""
        return (self.rank + 1) * self.steps_per_epoch * self.batch_size

    def rows(self, step: int) -> NDArray[np.int64]:
        """Shower numbers (over all blocks in order) of the batch at ``step``, as delivered."""
        first = np.concatenate([[0], np.cumsum([len(block) for block in self._blocks])])
        epoch, start, stop = self.place(step)
        parts = []
        for pool, rows in self.epoch(epoch).pieces(start, stop):
            numbers = [np.arange(first[block], first[block + 1]) for block in pool.blocks]
            parts.append(np.concatenate(numbers)[rows])
        return np.concatenate(parts)
