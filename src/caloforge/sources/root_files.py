"""ROOT files: opened with clear errors, written whole or not at all, with texts beside trees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file
from caloforge.errors import FormatError
from caloforge.sources.damage import damage


def open_root(path: Path) -> Any:
    """The directory of a ROOT file; close it with ``close()``.

    Raises:
        FormatError: missing, a folder, not ROOT, or truncated.
    """
    import uproot

    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; give a ROOT file")
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise FormatError(f"{path}: cannot read it ({error}); check its mode") from error
    if magic != b"root":
        raise FormatError(f"{path}: not a ROOT file, whatever its name says; give a shower file")
    with damage(path):
        return uproot.open({str(path): None}, array_cache=None)  # ':' stays part of the name


def root_text(file: Any, key: str) -> str | None:
    """The TObjString ``key`` of an open ROOT file; None when there is none."""
    if file.classnames(recursive=False, cycle=False).get(key) != "TObjString":
        return None
    return str(file[key])


@contextmanager
def new_root(path: Path) -> Iterator[Any]:
    """A new ROOT file that appears at ``path`` when the block ends well, and never half-written.

    Raises:
        OutputError: the folder is missing, or the disk is full.
    """
    import uproot

    with atomic_file(path) as partial, partial.open("w+b") as stream:
        file = uproot.recreate(stream)
        try:
            yield file
        except BaseException:
            with suppress(Exception):
                file.close()
            raise
        file.close()
