"""The contract of an executor: shards in, showers out, in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence

from caloforge.showers import Showers
from caloforge.tasks.job import Job
from caloforge.tasks.plan import Shard

ShardAdvance = Callable[[Shard, int], None]
"""Called now and then with a shard and how many of its showers are done."""


class Executor(ABC):
    """Runs the shards of a job somewhere.

    Few results wait in memory: new shards start as results are taken. Closing the generator, or
    an exception in it, ends all work at once.
    """

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many shards are made at the same time; 0 when that is not known yet."""

    @abstractmethod
    def run(
        self, job: Job, shards: Sequence[Shard], advance: ShardAdvance
    ) -> Generator[tuple[Shard, Showers], None, None]:
        """Every shard exactly once, with its showers, in any order.

        ``advance`` is called in the thread that iterates. ``provenance.source`` of the showers
        gets ``seconds``, the CPU time that the shard took.

        Raises:
            CaloforgeError: the job raised it.
            SimulationError: the job failed in another way, or its workers died too often.
        """
