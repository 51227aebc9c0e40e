"""The job: the one thing that a caller gives, and how it travels to the workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Protocol

from caloforge.errors import SimulationError, one_line
from caloforge.showers import Showers
from caloforge.tasks.plan import Shard

Advance = Callable[[int], None]
"""Called now and then with the number of showers done so far in this shard."""


class Job(Protocol):
    """A picklable callable that makes the showers of one shard.

    What comes out depends on the shard alone, never on the process or on earlier shards: a shard
    whose process died is made again. Every process gets its own copy of the job and calls it, in
    its main thread, for one shard after the other.
    """

    # A job may also have a method prepare(): called before the clock of every shard starts, for
    # what a process has to do only once.

    def __call__(self, shard: Shard, advance: Advance) -> Showers:
        """``len(shard)`` showers; ``provenance.source`` is the same for all shards."""


def pack(job: Job) -> bytes:
    """The job as bytes, for :class:`~caloforge.tasks.process.WorkerProcess`.

    Raises:
        SimulationError: it cannot be pickled, or lives where a worker cannot import it from.
    """
    name = getattr(job, "__qualname__", type(job).__qualname__)
    if getattr(job, "__module__", None) == "__main__":
        raise SimulationError(
            f"the job '{name}' is defined in a script or notebook, where worker processes cannot "
            "import it from; move it into a module"
        )
    try:
        return pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise SimulationError(
            f"the job '{name}' cannot be sent to a worker process ({one_line(error)}); "
            "define it in a module and keep open files and the like out of it"
        ) from error
