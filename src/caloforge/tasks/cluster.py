"""Worker processes on many machines, through dask.distributed."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

from caloforge._version import __version__
from caloforge.errors import CaloforgeError, SimulationError, one_line
from caloforge.showers import Showers
from caloforge.tasks.dask_worker import make_shard
from caloforge.tasks.executor import Executor, ShardAdvance
from caloforge.tasks.job import Job, pack
from caloforge.tasks.plan import Shard

_CONNECT_SECONDS = 5.0


class DaskCluster(Executor):
    """The workers of a dask cluster. Progress is known per shard.

    dask itself makes the shards of a lost worker again, on others.

    Args:
        address: of the scheduler, for instance ``tcp://host:8786``.
        patience: seconds to wait for the first worker.
    """

    def __init__(self, address: str, patience: float = 60.0) -> None:
        self.address = address
        self.patience = patience
        self._threads = 0

    @property
    def workers(self) -> int:
        """Threads of all dask workers; 0 before the connection."""
        return self._threads

    def run(
        self, job: Job, shards: Sequence[Shard], advance: ShardAdvance
    ) -> Generator[tuple[Shard, Showers], None, None]:
        """See :meth:`Executor.run`."""
        packed = pack(job)
        client = connect(self.address)
        submission = _Submission(client)
        try:
            self._wait_for_workers(client)
            submission.begin(packed)
            todo = iter(shards)
            for _ in shards:
                with suppress(Exception):  # a lost scheduler is noticed by the tasks
                    self._threads = sum(client.nthreads().values())
                submission.fill(todo, max(4, 2 * self._threads))
                yield submission.next_result()
        finally:
            submission.end()

    def _wait_for_workers(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=self.patience)
        except TimeoutError:
            raise SimulationError(
                f"--dask {self.address}: the scheduler has no workers; "
                f"start some with: dask worker {self.address}"
            ) from None


class _Submission:
    """The tasks of one run; their number at a time bounds the results that wait."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._run = uuid.uuid4().hex
        self._plugin = ""
        self._running: dict[Any, Shard] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def begin(self, packed: bytes) -> None:
        """Give the job to all workers, present and future."""
        from caloforge.tasks.dask_plugin import JobPlugin

        plugin = JobPlugin(self._run, packed)
        self._plugin = plugin.name
        try:
            self._client.register_plugin(plugin)
        except Exception as error:
            raise _cluster_error("the job cannot be sent", error) from error

    def fill(self, todo: Iterator[Shard], most: int) -> None:
        """Submit shards until ``most`` are under way."""
        while len(self._running) < most and (shard := next(todo, None)) is not None:
            future = self._client.submit(
                make_shard,
                self._run,
                shard,
                __version__,
                key=(f"caloforge-{self._run}", shard.number),
                priority=-shard.number,
                pure=False,
            )
            self._running[future] = shard
            future.add_done_callback(self._done.put)

    def next_result(self) -> tuple[Shard, Showers]:
        """The next finished shard; raises what a job raised."""
        future = self._done.get()
        shard = self._running.pop(future)
        try:
            return shard, cast(Showers, future.result())
        except CaloforgeError:
            raise
        except Exception as error:
            if future.status == "cancelled":
                raise SimulationError(
                    f"{shard}: the dask scheduler is gone; start it, then start again, "
                    "finished shards are kept"
                ) from error
            raise _cluster_error(str(shard), error) from error

    def end(self) -> None:
        """Stop what still runs and leave the cluster."""
        with suppress(Exception):
            if self._client.status == "running":
                self._client.cancel(list(self._running))
                if self._plugin:
                    self._client.unregister_worker_plugin(self._plugin)
        with suppress(Exception):
            self._client.close(timeout=_CONNECT_SECONDS)


def _cluster_error(what: str, error: Exception) -> SimulationError:
    text = f"{what}: {one_line(error)}"
    if type(error).__name__ == "KilledWorker":
        return SimulationError(f"{text} Then start again, finished shards are kept")
    return SimulationError(
        f"{text}; check that caloforge {__version__} is installed on the scheduler and all workers"
    )


def connect(address: str) -> Any:
    """A dask client, in a few seconds or not at all.

    Raises:
        SimulationError: dask is not installed, or nothing answers.
    """
    try:
        import distributed
        from distributed.comm import get_address_host_port
    except ImportError as error:
        raise SimulationError(
            "--dask needs dask.distributed; run: pip install 'caloforge[dask]'"
        ) from error
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def attempt() -> None:
        try:
            get_address_host_port(address, strict="://" in address)
            client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except Exception as error:
            answers.put(error)
        else:
            answers.put(client)

    # In a thread of its own: what answers may be no scheduler and keep the client for ever.
    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * _CONNECT_SECONDS)
    except queue.Empty:
        answer = TimeoutError("no scheduler answers there")
    if isinstance(answer, Exception):
        raise SimulationError(
            f"--dask {address}: cannot reach a dask scheduler ({one_line(answer)}); "
            "check the address, or start one with: dask scheduler"
        ) from answer
    return answer
