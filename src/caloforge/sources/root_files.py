"""ROOT files through uproot: opening, creating whole or not at all, our texts inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file
from caloforge.errors import CaloforgeError, FormatError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance

PROVENANCE = "caloforge_provenance"
GEOMETRY = "caloforge_geometry"
"""Keys of the texts (TObjString) in the files that we write."""

_TREES = ("TTree", "ROOT::RNTuple")


def is_root(path: Path) -> bool:
    """Whether ``path`` is a file that starts as ROOT files do (never raises)."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"root"
    except OSError:
        return False


@contextmanager
def root_errors(path: Path) -> Iterator[None]:
    """Whatever uproot raises on damaged content becomes one clear FormatError."""
    try:
        yield
    except CaloforgeError:
        raise
    except Exception as error:  # its own, zlib's, struct's, ...: no common base
        raise FormatError(
            f"{path}: damaged ROOT file ({type(error).__name__}: {one_line(error)[:200]}); copy or "
            "make it again"
        ) from error


def open_root(path: Path) -> Any:
    """Open a ROOT file for reading; close it, or use it in a ``with`` block.

    Raises:
        FormatError: missing, not ROOT, or truncated.
    """
    import uproot

    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; give a ROOT file")
    if not is_root(path):
        raise FormatError(f"{path}: not a ROOT file, whatever its name says; give a shower file")
    with root_errors(path):
        # as a dictionary, so that a ':' in the name does not mean an object inside
        file = uproot.open({str(path): None}, handler=uproot.MultithreadedFileSource)
        try:
            file.keys(recursive=False)
            if path.stat().st_size < file.file.fEND:
                raise FormatError(f"{path}: truncated ROOT file; copy or make it again")
        except BaseException:
            file.close()
            raise
        return file


def trees(file: Any) -> dict[str, Any]:
    """The trees (TTree, RNTuple) of an open file by name without cycle, in the file's order."""
    names = file.classnames(recursive=True, cycle=False)
    return {name: file[name] for name, kind in names.items() if kind in _TREES}


def root_text(file: Any, key: str) -> str | None:
    """A text of an open file; None where it has none."""
    if key not in file.keys(cycle=False, recursive=False):
        return None
    return str(file[key])


def root_geometry(file: Any, path: Path) -> Calorimeter | None:
    """The calorimeter that we wrote into a file; None for a foreign file."""
    text = root_text(file, GEOMETRY)
    return None if text is None else Calorimeter.from_yaml(text, f"{path}: {GEOMETRY}")


def root_provenance(file: Any, path: Path, calorimeter: Calorimeter) -> Provenance:
    """The provenance of what is read from a file: our own inside is the parent."""
    text = root_text(file, PROVENANCE)
    parents = () if text is None else (Provenance.from_json(text, str(path)).to_dict(),)
    return Provenance(step="read", geometry=calorimeter.hash, parents=parents)


@contextmanager
def new_root(path: Path) -> Iterator[Any]:
    """A new ROOT file that appears at ``path`` when the block ends well, and never half-written.

    Raises:
        OutputError: the folder is missing, or the disk is full.
    """
    import uproot

    with atomic_file(path) as partial:
        stream = partial.open("w+b")
        try:
            file = uproot.recreate(stream)
            yield file
            file.close()
            stream.close()
        finally:
            with suppress(OSError):  # of a full disk: raised once already
                stream.close()
