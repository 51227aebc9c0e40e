"""How far a run is: showers done, never more than there are, never fewer than before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caloforge.tasks.executor import Executor
from caloforge.tasks.plan import Shard


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` showers, ``resumed`` of them from an earlier run."""

    done: int
    total: int
    resumed: int
    workers: int


class Tracker:
    """Turns what the shards report into :class:`Progress`, whenever it rises."""

    def __init__(
        self,
        total: int,
        resumed: int,
        executor: Executor,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self._total = total
        self._resumed = resumed
        self._executor = executor
        self._report = report
        self._finished = resumed
        self._part: dict[Shard, int] = {}
        self._told = -1
        self._tell()

    def advance(self, shard: Shard, done: int) -> None:
        """``done`` showers of a running shard; a repeated shard may start again from 0."""
        self._part[shard] = min(len(shard), max(done, self._part.get(shard, 0)))
        self._tell()

    def finish(self, shard: Shard) -> None:
        """The whole shard is done."""
        self._part.pop(shard, None)
        self._finished += len(shard)
        self._tell()

    def _tell(self) -> None:
        done = self._finished + sum(self._part.values())
        if self._report is not None and done > self._told:
            self._told = done
            self._report(Progress(done, self._total, self._resumed, self._executor.workers))
