"""Functions compiled by numba, whose stored machine code follows the source of their folder.

numba compares stored code with the file of a function alone. An update that changes a function that
it calls, or renames a type that it takes, would run the old code, or fail on reading it.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")

STAMP = "compiled-from.sha256"
"""File next to the stored code: the digest of the source that it was compiled from."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function; threads run it at the same time."""
    return compile_with(function, nogil=True)


def compile_with(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """Compile a function with options of ``numba.njit``, and keep the machine code on disk.

    Where no folder can be written (a container whose files are read-only) each process compiles.
    """
    try:
        made = njit(function, cache=True, **options)
    except RuntimeError:  # numba: no locator available
        made = njit(function, **options)
    else:
        drop_stale(Path(made.stats.cache_path), Path(inspect.getfile(function)).parent)
    result: Callable[P, R] = made
    return result


@functools.cache
def drop_stale(stored: Path, source: Path) -> None:
    """Delete machine code in folder ``stored`` unless it comes from the modules in ``source``."""
    stamp, digest = stored / STAMP, _digest(source)
    with suppress(OSError):  # a folder that others empty at the same time, or that is read-only
        if stamp.is_file() and stamp.read_text() == digest:
            return
        for pattern in ("*.nbi", "*.nbc"):
            for file in stored.glob(pattern):
                file.unlink(missing_ok=True)
        stamp.write_text(digest)


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for file in (Path(__file__), *sorted(source.glob("*.py"))):  # the options are set here
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
