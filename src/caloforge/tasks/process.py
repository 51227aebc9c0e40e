"""The parent side of one worker process.

Workers are plain subprocesses: scripts and notebooks need no ``__main__`` guard, and the death of
one worker is nobody else's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from caloforge import errors
from caloforge.errors import CaloforgeError, SimulationError, one_line
from caloforge.showers import Showers
from caloforge.tasks.job import Advance
from caloforge.tasks.messages import Advanced, Failed, Finished, Setup, receive, send
from caloforge.tasks.plan import Shard
from caloforge.tasks.spawn import start_worker

_TAIL_LINES = 15
_CRASH = "Fatal Python error"
_TAIL_BYTES = 1 << 14
_LINE = 200


class WorkerDied(Exception):  # noqa: N818
    """A worker process ended in the middle of a shard.

    Attributes:
        reason: the signal's name (``SIGKILL``) or ``exit code N``.
        log: the last lines that it printed.
    """

    def __init__(self, reason: str, log: list[str]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.log = log


class WorkerProcess:
    """One process that makes the shards of one job, one after the other.

    Args:
        packed: the job, from :func:`~caloforge.tasks.job.pack`.

    Raises:
        SimulationError: the process cannot be started.
    """

    def __init__(self, packed: bytes) -> None:
        path = [entry or str(Path.cwd()) for entry in sys.path]
        self._setup: Setup | None = Setup(path, packed)
        try:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115  (has no name: nothing is left)
            self._process = start_worker(self._log)
        except OSError as error:
            raise SimulationError(
                f"a worker process cannot be started ({one_line(error)}); use fewer --workers"
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def call(self, shard: Shard, advance: Advance) -> Showers:
        """The showers of a shard; their ``provenance.source`` gets ``seconds``, the CPU time.

        Raises:
            WorkerDied: the process ended, or was killed.
            CaloforgeError: the job raised it.
            SimulationError: the job raised anything else; its traceback is in the notes.
        """
        try:
            self._ask(shard)
            while True:
                message = receive(self._answers)
                if isinstance(message, Finished):
                    return _with_seconds(message)
                if isinstance(message, Failed):
                    raise _raised(message, shard)
                assert isinstance(message, Advanced)
                advance(message.done)
        except (EOFError, BrokenPipeError):
            raise self._died() from None
        except CaloforgeError:
            raise
        except BaseException:
            self.kill()  # an answer may be under way that nobody will read
            raise

    def _ask(self, shard: Shard) -> None:
        if self._setup is not None:
            send(self._requests, self._setup)
            self._setup = None
        send(self._requests, shard)

    def _died(self) -> WorkerDied:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self.kill()
        code = self._process.returncode
        reason = _signal_name(-code) if code < 0 else f"exit code {code}"
        return WorkerDied(reason, _tail(self._log))

    def kill(self) -> None:
        """End the process at once, from any thread; a call under way raises WorkerDied."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and forget its log."""
        self.kill()
        for stream in (self._requests, self._answers, self._log):
            with suppress(OSError):
                stream.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_seconds(message: Finished) -> Showers:
    provenance = message.showers.provenance
    source = {**provenance.source, "seconds": message.seconds}
    return message.showers.with_provenance(replace(provenance, source=source))


def _raised(message: Failed, shard: Shard) -> CaloforgeError:
    if message.kind:
        known: type[CaloforgeError] = getattr(errors, message.kind)
        return known(message.text)
    error = SimulationError(
        f"{shard}: {message.text}; mend it and start again, finished shards are kept"
    )
    error.add_note(message.trace)
    return error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(log: IO[bytes]) -> list[str]:
    size = os.fstat(log.fileno()).st_size
    text = os.pread(log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
    text = text.partition(_CRASH)[0] or text  # the stack of Python says nothing of the reason
    lines = (" ".join(line.split())[:_LINE] for line in text.splitlines())
    return list(deque((line for line in lines if line), maxlen=_TAIL_LINES))
