"""Starting ``python -m caloforge.tasks.worker``."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import IO


def start_worker(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A worker process with pipes to talk to it, that prints to the end of ``log``.

    Raises:
        OSError: it cannot be started.
    """
    fcntl.fcntl(log, fcntl.F_SETFL, fcntl.fcntl(log, fcntl.F_GETFL) | os.O_APPEND)
    return _spawner(os.getpid()).submit(_popen, log).result()


@cache
def _spawner(pid: int) -> ThreadPoolExecutor:
    """The thread that starts all workers of this process.

    Linux ties a child to the life of the thread that started it, so this one lives to the end.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=f"caloforge-spawner-{pid}")


def _popen(log: IO[bytes]) -> subprocess.Popen[bytes]:
    module = "caloforge.tasks.worker"
    return subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", module, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=worker_environment(),
    )


def worker_environment() -> dict[str, str]:
    """Our variables; a caloforge that is not installed is found where we found it."""
    environment = dict(os.environ)
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(root), *([known] if known else [])])
    return environment
