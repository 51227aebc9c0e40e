"""Who does the trials: processes on this machine, or the workers of a dask cluster.

Crew              start a task, take the next result
+-- LocalCrew     one process per worker, replaced when it dies
+-- DaskCrew      the threads of all dask workers, each with a process of its own (dask_crew.py)
+-- HereCrew      this thread: nothing to start, and nothing survives a crash
"""

from __future__ import annotations

import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from dataclasses import dataclass

from caloforge.errors import CaloforgeError, ConfigError
from caloforge.showers import Showers
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
