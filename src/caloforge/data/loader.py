"""Training batches that do not keep the training waiting, in bounded memory.

    blocks on disk --(read, check, unpack)--> pool --(scatter)--> dense batch

Both arrows are the work of threads that hold no lock. The pools in memory are the one in use and
the next one; a few dense batches are made ahead.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.data.blocks import BlockSource, Room
from caloforge.data.kernels import scatter
from caloforge.data.order import BatchPlan, Pool

Floats = NDArray[np.float32]
Pieces = list[tuple["_Loading", NDArray[np.int64]]]


@dataclass(frozen=True)
class Batch:
    """One training batch: ``condition`` (B, C) in MeV, rad, mm; ``energy`` (B, n_cells) in MeV."""

    step: int
    condition: Floats
    energy: Floats


class ShowerLoader:
    """Dense float32 batches of a sample, by the plan's order.

    Args:
        source: the sample.
        plan: which showers make up which batch.
        columns: incident columns of ``Batch.condition``.
        threads: how many read and scatter.
        ahead: batches made in advance.
        reuse: deliver the batches in arrays that are used again: a batch is then valid until the
            ``keep``-th batch after it is asked for. Without it every batch is new memory.
        keep: how many delivered batches stay valid with ``reuse``.
    """

    def __init__(
        self,
        source: BlockSource,
        plan: BatchPlan,
        columns: Sequence[str] = ("energy",),
        *,
        threads: int = 2,
        ahead: int = 4,
        reuse: bool = False,
        keep: int = 2,
    ) -> None:
        self.source, self.plan, self.columns = source, plan, tuple(columns)
        self._threads, self._ahead, self._reuse, self._keep = threads, ahead, reuse, keep
        self.waited = 0.0
        """Seconds for which the consumer had to wait, the first batch not counted."""

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps ``start:stop``.

        Raises:
            FormatError: a file is damaged.
            ShowerError: a file holds impossible values.
        """
        with ThreadPoolExecutor(self._threads, thread_name_prefix="loader") as workers:
            stream = _Stream(self, workers, start, stop)
            try:
                for step in range(start, stop):
                    begin = time.perf_counter()
                    batch = stream.next()
                    if step > start:
                        self.waited += time.perf_counter() - begin
                    yield batch
            finally:
                workers.shutdown(wait=True, cancel_futures=True)


class _Loading:
    """A pool on its way into memory."""

    def __init__(self, loader: ShowerLoader, pool: Pool) -> None:
        source = loader.source
        self.blocks = [source.blocks[number] for number in pool.blocks]
        self.hits = sum(block.hits for block in self.blocks)
        self.showers = pool.stop - pool.start
        self.users: list[Future[Batch]] = []
        self._loader = loader
        self._tasks: list[Future[None]] = []
        self._row = self._hit = 0
        self._room: Room | None = None

    @property
    def complete(self) -> bool:
        """Whether all its blocks are asked for."""
        return len(self._tasks) == len(self.blocks)

    @property
    def share_asked(self) -> float:
        """The part of its blocks that is asked for."""
        return len(self._tasks) / len(self.blocks)

    def ask(self, workers: ThreadPoolExecutor, rooms: _Rooms) -> None:
        """Ask for the next block."""
        if self._room is None:
            self._room = rooms.take(self.showers, self.hits)
        block = self.blocks[len(self._tasks)]
        load = self._loader.source.load
        place = (block, self._loader.columns, self._room, self._row, self._hit)
        self._tasks.append(workers.submit(load, *place))
        self._row += len(block)
        self._hit += block.hits

    def room(self) -> Room:
        """The content, once all blocks are there."""
        for task in self._tasks:
            task.result()
        assert self._room is not None
        return self._room


class _Rooms:
    """The memory of pools that are done serves the next ones."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._left: list[_Loading] = []

    def leave(self, loading: _Loading) -> None:
        """No more batches will be asked of this pool; some may still be in the making."""
        self._left.append(loading)

    def take(self, showers: int, hits: int) -> Room:
        """Room for a pool."""
        if self._left:
            loading = self._left.pop(0)
            room = loading.room()
            if len(room.first) >= showers and len(room.cell) >= hits:
                wait(loading.users)
                return room
        return Room.empty(showers, hits, self._columns)


class _Stream:
    """What is under way for one iteration: pools being read, batches being made."""

    def __init__(
        self, loader: ShowerLoader, workers: ThreadPoolExecutor, start: int, stop: int
    ) -> None:
        self._loader, self._workers = loader, workers
        self._asked, self._stop = start, stop
        self._made: deque[Future[Batch]] = deque()
        self._pools: dict[tuple[int, int], _Loading] = {}
        self._buffers: deque[Floats] = deque()
        self._upcoming = self._pools_of(start, stop)
        self._rooms = _Rooms(len(loader.columns))

    def next(self) -> Batch:
        """The next batch; meanwhile others are being made."""
        while self._asked < self._stop and len(self._made) < self._loader._ahead:
            self._made.append(self._ask(self._asked))
            self._asked += 1
        return self._made.popleft().result()

    def _pools_of(self, start: int, stop: int) -> Iterator[tuple[int, Pool]]:
        plan = self._loader.plan
        first, place, _ = plan.place(start)
        last, _, end = plan.place(stop - 1)
        for epoch in range(first, last + 1):
            begin = place if epoch == first else plan.place(epoch * plan.steps_per_epoch)[1]
            finish = end if epoch == last else plan.end_of_epoch()
            for pool in plan.epoch(epoch).pools_from(begin, finish):
                yield epoch, pool

    def _ask(self, step: int) -> Future[Batch]:
        """Have a batch made; before it the blocks that it needs and some of the next pool's."""
        epoch, start, stop = self._loader.plan.place(step)
        pieces: Pieces = []
        for pool, rows in self._loader.plan.epoch(epoch).pieces(start, stop):
            loading = self._find(epoch, pool.number)
            if not pieces:  # a batch may straddle two pools and still needs the older one
                self._leave_before(epoch, pool.number)
            while not loading.complete:
                loading.ask(self._workers, self._rooms)
            pieces.append((loading, rows))
            share = (stop - pool.start) / (pool.stop - pool.start)
            self._read_ahead(epoch, pool.number, share)
        batch = self._workers.submit(self._make, step, pieces, self._buffer())
        for loading, _ in pieces:
            loading.users.append(batch)
        return batch

    def _leave_before(self, epoch: int, number: int) -> None:
        """No batch to come needs the pools before this one."""
        for key in [key for key in self._pools if key < (epoch, number)]:
            self._rooms.leave(self._pools.pop(key))

    def _find(self, epoch: int, number: int) -> _Loading:
        """The pool, which is the next one in the queue unless it is known."""
        while (epoch, number) not in self._pools:
            self._enter()
        return self._pools[epoch, number]

    def _enter(self) -> bool:
        try:
            epoch, pool = next(self._upcoming)
        except StopIteration:
            return False
        self._pools[epoch, pool.number] = _Loading(self._loader, pool)
        return True

    def _read_ahead(self, epoch: int, number: int, share: float) -> None:
        """Ask for ``share`` of the blocks of the pool behind this one."""
        later = [loading for key, loading in self._pools.items() if key > (epoch, number)]
        if not later:
            if not self._enter():
                return
            later = list(self._pools.values())[-1:]
        following = later[0]
        while not following.complete and following.share_asked < share:
            following.ask(self._workers, self._rooms)

    def _buffer(self) -> Floats:
        shape = (self._loader.plan.size, self._loader.source.calorimeter.n_cells)
        if not self._loader._reuse:
            return np.empty(shape, np.float32)
        if len(self._buffers) < self._loader._ahead + self._loader._keep:
            self._buffers.append(np.empty(shape, np.float32))
            return self._buffers[-1]
        self._buffers.rotate(-1)
        return self._buffers[-1]

    def _make(self, step: int, pieces: Pieces, energy: Floats) -> Batch:
        condition = np.empty((len(energy), len(self._loader.columns)), np.float32)
        begin = 0
        for loading, rows in pieces:
            room = loading.room()
            end = begin + len(rows)
            condition[begin:end] = room.condition[rows]
            scatter(rows, room.first, room.last, room.cell, room.energy, energy[begin:end])
            begin = end
        return Batch(step, condition, energy)
