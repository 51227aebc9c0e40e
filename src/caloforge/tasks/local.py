"""Worker processes on this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from caloforge.errors import ConfigError
from caloforge.showers import Showers
from caloforge.tasks.executor import Executor, ShardAdvance
from caloforge.tasks.job import Job, pack
from caloforge.tasks.plan import Shard
from caloforge.tasks.station import Station, Stopped


class LocalWorkers(Executor):
    """``workers`` processes, each led by a thread that takes shards from one queue.

    Raises:
        ConfigError: less than one worker.
    """

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"--workers {workers}: give at least 1")
        self._workers = workers

    @property
    def workers(self) -> int:
        """How many processes."""
        return self._workers

    def run(
        self, job: Job, shards: Sequence[Shard], advance: ShardAdvance
    ) -> Generator[tuple[Shard, Showers], None, None]:
        """See :meth:`Executor.run`."""
        crew = _Crew(pack(job), shards, min(self._workers, len(shards)))
        try:
            crew.start()
            for _ in shards:
                yield crew.next_result(advance)
                crew.allow_one_more()
        finally:
            crew.stop()


@dataclass(frozen=True)
class _Event:
    """What a thread tells: showers done so far, the finished showers, or what went wrong."""

    shard: Shard
    what: int | Showers | BaseException


class _Crew:
    """The threads and their stations. At most 2 shards per thread are begun and not yet taken."""

    def __init__(self, packed: bytes, shards: Sequence[Shard], workers: int) -> None:
        self._todo: queue.SimpleQueue[Shard] = queue.SimpleQueue()
        for shard in shards:
            self._todo.put(shard)
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._slots = threading.Semaphore(2 * workers)
        self._stopping = False
        self._stations = [Station(packed) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(station,), daemon=True)
            for station in self._stations
        ]

    def start(self) -> None:
        """Start the threads; they start the processes."""
        for thread in self._threads:
            thread.start()

    def next_result(self, advance: ShardAdvance) -> tuple[Shard, Showers]:
        """The next finished shard; raises what a job raised."""
        while True:
            event = self._events.get()
            if isinstance(event.what, int):
                advance(event.shard, event.what)
            elif isinstance(event.what, Showers):
                return event.shard, event.what
            else:
                raise event.what

    def allow_one_more(self) -> None:
        """A result was dealt with."""
        self._slots.release()

    def stop(self) -> None:
        """Kill all processes and end all threads."""
        self._stopping = True
        for station in self._stations:
            station.stop()
        self._slots.release(max(1, len(self._threads)))
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self, station: Station) -> None:
        with closing(station), suppress(Stopped):  # stopped: nobody waits for the shard
            while self._make_next(station):
                pass

    def _make_next(self, station: Station) -> bool:
        """Make the next shard; False when there is none, or it failed."""
        self._slots.acquire()
        if self._stopping:
            return False
        try:
            shard = self._todo.get_nowait()
        except queue.Empty:
            return False
        try:
            showers = station.call(shard, lambda done: self._events.put(_Event(shard, done)))
        except Stopped:
            raise
        except BaseException as error:
            self._events.put(_Event(shard, error))
            return False
        self._events.put(_Event(shard, showers))
        return True
