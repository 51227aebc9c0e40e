"""One run at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.atomic import output_error
from caloforge.errors import CaloforgeWarning, OutputError

LOCK = "lock"


@contextmanager
def locked_folder(folder: Path, output: Path) -> Iterator[None]:
    """Make ``folder`` and hold its lock; the lock ends with the process, however that dies.

    Raises:
        OutputError: another run that writes ``output`` holds it, or the folder cannot be made.
    """
    try:
        descriptor = _acquire(folder, output)
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(folder: Path, output: Path) -> int:
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # a run just ended and removed its folder
        try:
            _lock(descriptor, output)
            if _is_still(descriptor, folder / LOCK):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, output: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace") or "unknown"
        raise OutputError(
            f"{output}: another run is writing it (process {holder}); "
            "wait for it or choose another output"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise
        warnings.warn(
            f"{output}: no locks on this file system; do not start a second run of the same output",
            CaloforgeWarning,
            stacklevel=2,
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
