"""No workers at all: the shards one after the other, here."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

from caloforge.showers import Showers
from caloforge.tasks.executor import Executor, ShardAdvance
from caloforge.tasks.job import Job
from caloforge.tasks.plan import Shard


class InProcess(Executor):
    """Runs the job in the calling thread: nothing to start, and nothing to survive a crash."""

    @property
    def workers(self) -> int:
        """One."""
        return 1

    def run(
        self, job: Job, shards: Sequence[Shard], advance: ShardAdvance
    ) -> Generator[tuple[Shard, Showers], None, None]:
        """See :meth:`Executor.run`; the shards come in order."""
        for shard in shards:
            begin = time.process_time()
            showers = job(shard, lambda done, shard=shard: advance(shard, done))  # type: ignore[misc]
            source = {**showers.provenance.source, "seconds": time.process_time() - begin}
            yield shard, showers.with_provenance(replace(showers.provenance, source=source))
