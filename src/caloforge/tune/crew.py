"""Who does the trials: processes on this machine, or the workers of a dask cluster.

Crew              start a task, take the next result
+-- LocalCrew     one process per worker, replaced when it dies
+-- DaskCrew      the threads of all dask workers, each with a process of its own
+-- HereCrew      this thread: nothing to start, and nothing survives a crash
"""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from caloforge._version import __version__
from caloforge.errors import CaloforgeError, ConfigError, SimulationError, one_line
from caloforge.showers import Showers
from caloforge.tasks.cluster import connect
from caloforge.tasks.dask_worker import make_shard
from caloforge.tasks.job import Job, pack
from caloforge.tasks.station import Station, Stopped
from caloforge.tune.trial import TrialTask


@dataclass(frozen=True)
class Done:
    """A task, and what came of it."""

    task: TrialTask
    result: Showers | CaloforgeError


class Crew(ABC):
    """Does tasks, as many at a time as it has workers."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many tasks at a time; may change with a cluster."""

    @property
    def threads(self) -> int | None:
        """How many each task should use; None for as many as it likes."""
        return None

    @abstractmethod
    def begin(self, job: Job) -> None:
        """Get ready for the tasks of a job.

        Raises:
            SimulationError: there are no workers.
        """

    @abstractmethod
    def start(self, task: TrialTask) -> None:
        """Start a task."""

    @abstractmethod
    def next(self, timeout: float) -> Done | None:
        """The next result, in any order; None after ``timeout`` seconds without one.

        Raises:
            SimulationError: all workers are lost.
        """

    @abstractmethod
    def stop(self) -> None:
        """End all work at once."""


class HereCrew(Crew):
    """Does the tasks in the calling thread.

    A task that takes minutes keeps the study from showing that it is alive: share none with others.
    """

    def __init__(self) -> None:
        self._job: Job | None = None
        self._todo: queue.SimpleQueue[TrialTask] = queue.SimpleQueue()

    @property
    def size(self) -> int:
        """One."""
        return 1

    def begin(self, job: Job) -> None:
        """See :meth:`Crew.begin`."""
        self._job = job

    def start(self, task: TrialTask) -> None:
        """See :meth:`Crew.start`."""
        self._todo.put(task)

    def next(self, timeout: float) -> Done | None:
        """See :meth:`Crew.next`."""
        assert self._job is not None
        if self._todo.empty():
            time.sleep(timeout)
            return None
        task = self._todo.get()
        try:
            return Done(task, self._job(task, lambda _: None))
        except CaloforgeError as error:
            return Done(task, error)

    def stop(self) -> None:
        """Nothing runs."""


class LocalCrew(Crew):
    """``workers`` processes on this machine, each led by a thread.

    Raises:
        ConfigError: less than one worker.
    """

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"--workers {workers}: give at least 1")
        self._size = workers
        self._todo: queue.SimpleQueue[TrialTask | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._stations: list[Station] = []
        self._threads: list[threading.Thread] = []

    @property
    def size(self) -> int:
        """How many processes."""
        return self._size

    @property
    def threads(self) -> int | None:
        """The cores of this machine, shared out."""
        return None if self._size == 1 else max(1, (os.cpu_count() or 1) // self._size)

    def begin(self, job: Job) -> None:
        """See :meth:`Crew.begin`; the processes start with their first task."""
        packed = pack(job)
        for _ in range(self._size):
            station = Station(packed)
            thread = threading.Thread(target=self._work, args=(station,), daemon=True)
            self._stations.append(station)
            self._threads.append(thread)
            thread.start()

    def start(self, task: TrialTask) -> None:
        """See :meth:`Crew.start`."""
        self._todo.put(task)

    def next(self, timeout: float) -> Done | None:
        """See :meth:`Crew.next`."""
        with suppress(queue.Empty):
            return self._done.get(timeout=timeout)
        return None

    def stop(self) -> None:
        """Kill all processes and end all threads."""
        for station in self._stations:
            station.stop()
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, station: Station) -> None:
        with closing(station), suppress(Stopped):
            while (task := self._todo.get()) is not None:
                try:
                    self._done.put(Done(task, station.call(task, lambda _: None)))
                except CaloforgeError as error:
                    self._done.put(Done(task, error))


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
