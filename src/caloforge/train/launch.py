"""Starts the processes of a training on this machine, watches them, and tells what went wrong.

Like torchrun, but from Python and notebooks too, with one error that says what to do: the first
cause, not what the other processes made of it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any

from lightning.fabric.plugins.environments.lightning import find_free_network_port

from caloforge import errors
from caloforge.errors import CaloforgeError, TrainingError, one_line
from caloforge.tasks.spawn import worker_environment

GRACE = 5.0
"""Seconds in which the others may end by themselves when one process has failed."""

_PAUSE = 0.02
_TAIL = 2000


def launch(
    module: str,
    request: Mapping[str, Any],
    processes: int,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Run ``python -m module`` in several processes; returns what the first one answers.

    Each serves one request, see :func:`caloforge.train.served.serve`, with our environment and
    ``variables``. Ctrl-C and SIGTERM are passed on once, so that the processes can stop together;
    a second one ends them.

    Raises:
        CaloforgeError: the first cause, if processes fail.
        KeyboardInterrupt: Ctrl-C came a second time.
    """
    started = _started(module, request, processes, variables or {})
    with started as all_of_them, _signals_go_to(all_of_them):
        _wait(all_of_them)
        failed = [process for process in all_of_them if process.failed]
        if failed:
            raise _cause(failed)
        return all_of_them[0].answer["result"]


class _Process:
    """One of the processes; only the first one may print to the terminal."""

    def __init__(
        self,
        module: str,
        request: Mapping[str, Any],
        rank: int,
        world: int,
        variables: Mapping[str, str],
    ) -> None:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
        given = {**variables, **{name: str(value) for name, value in places.items()}}
        self.rank, self.world = rank, world
        self.ended_by_us = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in ``close``)
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if rank == 0 else self._log,
            env={**worker_environment(), **given},
            start_new_session=True,  # Ctrl-C comes from us alone
        )
        self.answer: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with suppress(OSError):  # it is dead already
            self._pipe.write(json.dumps(request).encode() + b"\n")
            self._pipe.flush()  # and stays open: its end would mean that we are gone

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with suppress(ValueError):
            self.answer = json.loads(self._popen.stdout.read() or b"{}")

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended without a result."""
        if self.alive:
            return False
        self._reader.join(1.0)
        return "result" not in self.answer

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        with suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def end(self) -> None:
        """End it at once, if it is still there."""
        if self.alive:
            self.ended_by_us = True
            self._popen.kill()
        self._popen.wait()

    def close(self) -> None:
        """End it and forget its log."""
        self.end()
        with suppress(OSError):
            self._pipe.close()
        self._reader.join(1.0)
        self._log.close()

    def death(self) -> TrainingError:
        """What there is to say of a process that has died without a word."""
        code = self._popen.returncode
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._log.seek(max(0, self._log.seek(0, 2) - _TAIL))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        said = f" ({lines[-1].strip()[:200]})" if lines else ""
        return TrainingError(
            f"process {self.rank} of {self.world} died: {reason}{said}; continue from the last "
            "checkpoint with the same command and --resume, on as many processes as there are"
        )


@contextmanager
def _started(
    module: str, request: Mapping[str, Any], world: int, variables: Mapping[str, str]
) -> Iterator[list[_Process]]:
    """The processes; none outlives the block.

    Raises:
        TrainingError: the machine cannot start so many.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    running: list[_Process] = []
    try:
        for rank in range(world):
            running.append(_Process(module, request, rank, world, {**variables, **meeting}))
        yield running
    except OSError as error:
        raise TrainingError(
            f"cannot start {world} processes ({one_line(error)}); use fewer --devices"
        ) from error
    finally:
        for process in running:
            process.close()


def _wait(processes: list[_Process]) -> None:
    """Until all have ended; when one has failed the others have to follow soon."""
    deadline: float | None = None
    while any(process.alive for process in processes):
        if deadline is None and any(process.failed for process in processes):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.end()
        time.sleep(_PAUSE)


def _cause(failed: list[_Process]) -> CaloforgeError:
    """A death comes first, then an error, then what others say of one that is gone."""
    for process in failed:
        if not process.answer and not process.ended_by_us:
            return process.death()
    told = [process.answer["error"] for process in failed if process.answer]
    first = min(told, key=lambda error: bool(error["lost"]))
    kind: type[CaloforgeError] = getattr(errors, first["kind"], TrainingError)
    error = kind(first["text"])
    error.add_note(first["trace"])
    return error


@contextmanager
def _signals_go_to(processes: list[_Process]) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on as SIGTERM, once; the second one is ours."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return

    def pass_on(number: int, _: FrameType | None) -> None:
        signal.signal(number, old[signal.Signals(number)])
        for process in processes:
            process.signal(signal.SIGTERM)

    old = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
