"""Results appear whole or not at all: write to a temporary name, then rename."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from caloforge.errors import OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def output_error(path: Path, error: BaseException) -> OutputError:
    """The OutputError for a failed write to ``path``."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number in _FULL or "No space left" in text or "File too large" in text:
        return OutputError(f"{path}: the disk is full; free some space or write somewhere else")
    return OutputError(f"{path}: cannot write ({text or type(error).__name__}); check the folder")


def check_folder(path: Path) -> None:
    """Raise OutputError unless the folder that will hold ``path`` exists and can be written."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"{path}: folder '{folder}' does not exist; run: mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: folder '{folder}' is not writable; choose another one")


def _partial(path: Path) -> Path:
    return path.absolute().with_name(f".{path.name}.{os.getpid()}.partial")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well it becomes ``path``, else it is removed.

    Raises:
        OutputError: the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    check_folder(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    partial = _partial(path)
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.chmod(0o666 & ~_umask())  # some libraries create private files
        partial.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well it replaces ``path``, else it is removed.

    Raises:
        OutputError: the parent folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    check_folder(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; give a folder name")
    partial = _partial(path)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        old = partial.with_suffix(".old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
