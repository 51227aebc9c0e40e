"""The child side: ``python -m caloforge.tasks.worker PARENT 2>LOG``.

Messages come in on stdin and answers go out on stdout. Both are moved away before any job code
runs: whatever a chatty library prints, from Python or from C++, goes to stderr, the log. The
process never outlives PARENT, the number of the process that started it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import IO

from caloforge import errors
from caloforge.errors import CaloforgeError, SimulationError, one_line
from caloforge.showers import Showers
from caloforge.tasks.job import Job
from caloforge.tasks.messages import Advanced, Failed, Finished, Setup, encode, receive_bytes
from caloforge.tasks.plan import Shard

_PR_SET_PDEATHSIG = 1
_EVERY = 0.05  # seconds between two progress messages


def main() -> None:
    """Serve the parent until it closes our stdin or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    inbox, outbox = _take_over()
    _die_with(int(sys.argv[1]))
    faulthandler.enable(all_threads=False)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox, requests), daemon=True).start()
    _serve(requests, _Outbox(outbox))


def _take_over() -> tuple[IO[bytes], IO[bytes]]:
    """Move the protocol to private descriptors; 0 is then empty, 1 is the log, as 2 is."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return inbox, outbox


def _die_with(parent: int) -> None:
    """Ask Linux to kill us when the parent dies, even in the middle of C++ that holds the GIL."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _listen(inbox: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    """Pass the requests on; the end of stdin is the end of this process, whatever it is doing."""
    try:
        while True:
            requests.put(receive_bytes(inbox))
    except (EOFError, OSError):
        os._exit(0)


class _Outbox:
    """Answers to the parent; whole messages, from any thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._last = 0.0

    def send(self, message: object) -> None:
        """Send, or raise before the first byte if the message cannot be pickled."""
        content = encode(message)
        with self._lock:
            self._stream.write(content)
            self._stream.flush()

    def advance(self, done: int) -> None:
        """Tell the progress, not too often."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self.send(Advanced(int(done)))


def _serve(requests: queue.SimpleQueue[bytes], outbox: _Outbox) -> None:
    setup: Setup = pickle.loads(requests.get())
    sys.path[:] = setup.path
    job: Job | Failed
    try:
        job = pickle.loads(setup.job)
    except BaseException as error:
        job = _failed(error, "the job cannot be loaded in a worker process: ")
    while True:
        shard: Shard = pickle.loads(requests.get())
        if isinstance(job, Failed):
            outbox.send(job)
            continue
        with suppress(OSError):  # by hand, stderr may be a terminal
            os.ftruncate(2, 0)  # the log holds what was printed since the shard began
        try:
            outbox.send(_make(job, shard, outbox))
        except BaseException as error:
            outbox.send(_failed(error))


def _make(job: Job, shard: Shard, outbox: _Outbox) -> Finished:
    prepare = getattr(job, "prepare", None)
    if prepare is not None:
        prepare()
    start = time.process_time()
    showers = job(shard, outbox.advance)
    seconds = time.process_time() - start
    if not isinstance(showers, Showers):
        raise SimulationError(
            f"{shard}: the job returned {type(showers).__name__}; it must return Showers"
        )
    return Finished(showers, round(seconds, 6))


def _failed(error: BaseException, prefix: str = "") -> Failed:
    """The exception as text; a CaloforgeError keeps the nearest class that everybody knows."""
    kind = ""
    if isinstance(error, CaloforgeError):
        home = errors.__name__
        kind = next(known.__name__ for known in type(error).__mro__ if known.__module__ == home)
        return Failed(kind, str(error), traceback.format_exc())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (line {frames[-1].lineno} of {frames[-1].filename})" if frames else ""
    text = f"{prefix}{type(error).__name__}: {one_line(error)}{place}"
    return Failed(kind, text, traceback.format_exc())


if __name__ == "__main__":
    main()
