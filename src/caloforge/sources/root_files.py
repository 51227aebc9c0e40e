"""ROOT files through uproot: opened and made so that damage and full disks give clear errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from caloforge.atomic import atomic_file
from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter
from caloforge.sources.origin import written_calorimeter
from caloforge.store.damage import damage_errors

PROVENANCE = "caloforge_provenance"
"""Key of the provenance (JSON) in the files that we write."""

GEOMETRY = "caloforge_geometry"
"""Key of the calorimeter (YAML) in the files that we write."""

_TREES = ("TTree", "ROOT::RNTuple")


def is_root(path: Path) -> bool:
    """Whether ``path`` is a file that begins as ROOT files do (never raises)."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"root"
    except OSError:
        return False


def open_root(path: Path) -> Any:
    """Open a ROOT file for reading; a ':' in its name has no meaning.

    Raises:
        FormatError: missing, not ROOT, or truncated.
    """
    import uproot

    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; give a file")
    if not is_root(path):
        raise FormatError(f"{path}: not a ROOT file, or no permission to read it; give another one")
    with damage_errors(path, "truncated or damaged ROOT file"):
        file = uproot.open({path.absolute(): None}, handler=uproot.MemmapSource)
        if file.file.fEND > path.stat().st_size:
            file.close()
            raise FormatError(f"{path}: truncated ROOT file; copy or make it again")
    return file


def trees(file: Any) -> dict[str, Any]:
    """The trees (TTree, RNTuple) of an open file by name without cycle, in the file's order."""
    names = file.classnames(recursive=True, cycle=False)
    return {name: file[name] for name, kind in names.items() if kind in _TREES}


def root_text(file: Any, key: str) -> str | None:
    """The text of a TObjString, None where there is none."""
    return str(file[key]) if key in file.keys(cycle=False, recursive=False) else None


def root_geometry(file: Any, path: Path) -> Calorimeter | None:
    """The calorimeter that we wrote into a file; None for a foreign file."""
    text = root_text(file, GEOMETRY)
    return None if text is None else written_calorimeter(path, text, root_text(file, PROVENANCE))


def entries_of(tree: Any, path: Path, branches: Iterable[str]) -> int:
    """The number of entries of a tree, the same in these branches.

    Raises:
        FormatError: they differ: the file is damaged.
    """
    entries = int(tree.num_entries)
    for name in branches:
        found = int(getattr(tree[name], "num_entries", entries))  # fields of an RNTuple have none
        if found != entries:
            raise FormatError(
                f"{path}: tree '{tree.name}' has {entries} entries, its branch '{name}' {found}; "
                "copy or make the file again"
            )
    return entries


@contextmanager
def new_root(path: Path) -> Iterator[Any]:
    """A new ROOT file that appears at ``path`` when the block ends well, and never half-written.

    Baskets are compressed with ZLIB, whose checksum shows damage.

    Raises:
        OutputError: the folder is missing, or the disk is full.
    """
    import uproot

    with atomic_file(path) as partial:
        stream = partial.open("w+b")
        try:
            file = uproot.recreate(stream, compression=uproot.ZLIB(4))
            yield file
            file.close()
            stream.close()
        except BaseException:
            with suppress(Exception):
                stream.close()
            raise
