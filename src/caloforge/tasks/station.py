"""A place where one worker process runs, and is replaced by a fresh one when it dies."""

from __future__ import annotations

import threading

from caloforge.errors import SimulationError
from caloforge.showers import Showers
from caloforge.tasks.job import Advance
from caloforge.tasks.plan import Shard
from caloforge.tasks.process import WorkerDied, WorkerProcess

TRIES = 3


class Stopped(Exception):  # noqa: N818
    """The station was stopped while, or before, it made a shard."""


class Station:
    """Makes shards of one packed job; one thread calls, any thread may stop."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._process: WorkerProcess | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def call(self, shard: Shard, advance: Advance) -> Showers:
        """The showers of a shard, whose process may die :data:`TRIES` - 1 times.

        Raises:
            Stopped: by :meth:`stop`.
            SimulationError: the process died too often, or the job failed.
            CaloforgeError: the job raised it.
        """
        died = WorkerDied("", [])
        for _ in range(TRIES):
            try:
                return self._ready().call(shard, advance)
            except WorkerDied as error:
                died = error
        with self._lock:
            self._check()
        raise _too_often(shard, died)

    def _ready(self) -> WorkerProcess:
        with self._lock:
            self._check()
            if self._process is not None and not self._process.alive:
                self._process.close()
                self._process = None
            if self._process is None:
                self._process = WorkerProcess(self._packed)
            return self._process

    def _check(self) -> None:
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Kill the process and start no other; a call under way raises Stopped."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop, and leave nothing behind; not while another thread calls."""
        self.stop()
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None


def _too_often(shard: Shard, died: WorkerDied) -> SimulationError:
    said = " | ".join(died.log) or "nothing"
    if died.reason == "SIGKILL":
        advice = "perhaps memory ran out: use fewer --workers"
    else:
        advice = "mend what it says; if it says nothing, make fewer showers to find the one"
    return SimulationError(
        f"{shard}: the worker process died {TRIES} times ({died.reason}); "
        f"it last said: {said}; {advice}"
    )
