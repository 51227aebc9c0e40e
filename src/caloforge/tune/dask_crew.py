"""Trials on many machines, through dask.distributed."""

from __future__ import annotations

import queue
import uuid
from contextlib import suppress
from typing import Any

from caloforge._version import __version__
from caloforge.errors import CaloforgeError, SimulationError, one_line
from caloforge.tasks.cluster import connect
from caloforge.tasks.dask_worker import make_shard
from caloforge.tasks.job import Job, pack
from caloforge.tune.crew import Crew, Done
from caloforge.tune.trial import TrialTask


class DaskCrew(Crew):
    """The workers of a dask cluster, who see the study's folder and data under the same paths.

    dask itself does the tasks of a lost worker again, on others.

    Args:
        address: of the scheduler, for instance ``tcp://host:8786``.
        patience: seconds to wait for the first worker.
    """

    def __init__(self, address: str, patience: float = 60.0) -> None:
        self.address, self.patience = address, patience
        self._run = uuid.uuid4().hex
        self._client: Any = None
        self._plugin = ""
        self._running: dict[Any, TrialTask] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._size = 1

    @property
    def size(self) -> int:
        """Threads of all dask workers."""
        with suppress(Exception):  # a lost scheduler is noticed by the tasks
            self._size = max(1, sum(self._client.nthreads().values()))
        return self._size

    def begin(self, job: Job) -> None:
        """See :meth:`Crew.begin`."""
        packed = pack(job)
        self._client = connect(self.address)
        from caloforge.tasks.dask_plugin import JobPlugin

        try:
            self._client.wait_for_workers(1, timeout=self.patience)
        except TimeoutError:
            raise SimulationError(
                f"--dask {self.address}: the scheduler has no workers; "
                f"start some with: dask worker {self.address}"
            ) from None
        plugin = JobPlugin(self._run, packed)
        self._plugin = plugin.name
        try:
            self._client.register_plugin(plugin)
        except Exception as error:
            raise self._failed(error) from error

    def start(self, task: TrialTask) -> None:
        """See :meth:`Crew.start`."""
        key = (f"caloforge-{self._run}", task.number)
        future = self._client.submit(
            make_shard, self._run, task, __version__, key=key, pure=False, priority=-task.number
        )
        self._running[future] = task
        future.add_done_callback(self._done.put)

    def next(self, timeout: float) -> Done | None:
        """See :meth:`Crew.next`."""
        try:
            future = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        task = self._running.pop(future)
        try:
            return Done(task, future.result())
        except CaloforgeError as error:
            return Done(task, error)
        except Exception as error:
            if future.status == "cancelled":
                raise SimulationError(
                    "the dask scheduler is gone; start it, then the same command again: finished "
                    "trials are kept"
                ) from error
            return Done(task, self._failed(error))

    def _failed(self, error: Exception) -> SimulationError:
        return SimulationError(
            f"--dask {self.address}: {one_line(error)}; check that caloforge {__version__} is "
            "installed on the scheduler and all workers"
        )

    def stop(self) -> None:
        """Stop what still runs and leave the cluster."""
        if self._client is None:
            return
        with suppress(Exception):
            if self._client.status == "running":
                self._client.cancel(list(self._running))
                if self._plugin:
                    self._client.unregister_worker_plugin(self._plugin)
        with suppress(Exception):
            self._client.close(timeout=5.0)
