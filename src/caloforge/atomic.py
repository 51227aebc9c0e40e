"""Results appear whole or not at all: write to a temporary name, then rename."""

from __future__ import annotations

import errno
import glob
import itertools
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from caloforge.errors import OutputError

_FULL_TEXTS = ("No space left", "File too large", "os error 27", "os error 28")
_NUMBERS = itertools.count()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def output_error(path: Path, error: BaseException) -> OutputError:
    """The OutputError for a failed write to ``path``."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number in _FULL or any(hint in text for hint in _FULL_TEXTS):
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
    number = next(_NUMBERS)  # threads may write the same name at the same time
    return path.absolute().with_name(f".{path.name}.{number}.{os.getpid()}.partial")


def remove_leftovers(path: Path) -> None:
    """Remove the temporary names of ``path`` that killed processes of this machine left behind."""
    for left in path.absolute().parent.glob(f".{glob.escape(path.name)}.*.partial"):
        number = left.name.removesuffix(".partial").rpartition(".")[2]
        if not number.isdigit() or _alive(int(number)):
            continue
        with suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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


def check_result_folder(path: Path, replaces: Collection[str]) -> None:
    """Raise OutputError unless a folder of results can be put at ``path`` without harm.

    Nothing may be there but an empty folder, or an older result: names of ``replaces`` only, with
    at least one file among them (a lone folder of such a name may be anybody's).
    """
    check_folder(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{path}: is a file; give a folder name")
    try:
        entries = sorted(path.iterdir())
        ours = any(entry.name in replaces and entry.is_file() for entry in entries)
    except OSError as error:
        raise output_error(path, error) from error
    foreign = [e.name for e in entries if e.name not in replaces or not (ours or e.is_file())]
    if foreign:
        names = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise OutputError(f"{path}: holds other files ({names}); give a new folder")


def _put_in_place(partial: Path, path: Path) -> None:
    """Rename ``partial`` to ``path``; what was there is removed, or put back if that fails."""
    old = partial.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    replaced = path.exists()
    if replaced:
        path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        if replaced:
            with suppress(OSError):
                old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def atomic_folder(path: str | Path, *, replaces: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well it becomes ``path``, else it is removed.

    Args:
        path: the folder to make.
        replaces: names that an older result may have left in it; it is replaced only if it holds
            nothing else (see :func:`check_result_folder`).

    Raises:
        OutputError: the folder holds other files, its parent is missing or not writable, or the
            disk is full.
    """
    given, path = Path(path), Path(path).resolve()  # of a link, the folder behind it
    check_result_folder(given, replaces)
    partial = _partial(path)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        check_result_folder(given, replaces)  # again: the work may have taken hours
        _put_in_place(partial, path)
    except OSError as error:
        raise output_error(given, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
