"""The trees of a podio file (or of one that we wrote), read in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.sources.lab.hits import Whole
from caloforge.sources.root_files import entries_of, open_root, root_text
from caloforge.store.damage import damage_errors

EVENTS = "events"
PODIO = "podio_metadata"
GEOMETRY = "caloforge_geometry"
PROVENANCE = "caloforge_provenance"
ENCODING = "__CellIDEncoding"
"""Behind the name of a collection: the key of its cellID encoding."""

_NEEDED = ("energy", "position.x", "position.y", "position.z")


class EventFile:
    """An open EDM4hep file.

    Raises:
        FormatError: not such a file, an RNTuple, or damaged.
        ShowerError: no events.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_root(path)
        try:
            with damage_errors(path):
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        kinds = self._file.classnames(recursive=False, cycle=False)
        if "RNTuple" in kinds.get(EVENTS, ""):
            raise FormatError(
                f"{self.path}: '{EVENTS}' is an RNTuple, podio's newer layout, which is not read; "
                "write the file with podio's ROOTWriter (TTree)"
            )
        if kinds.get(EVENTS) != "TTree":
            raise FormatError(
                f"{self.path}: no tree '{EVENTS}', only {', '.join(kinds) or 'nothing'}; "
                "choose the right format with --from"
            )
        self._tree = self._file[EVENTS]
        self.branches = set(self._tree.keys(full_paths=False))
        self.collections = hit_collections(self._tree)
        if not self.collections:
            raise FormatError(
                f"{self.path}: '{EVENTS}' has no collection of simulated calorimeter hits; "
                "give a file with SimCalorimeterHit collections"
            )
        energies = [f"{name}.energy" for name in self.collections]
        self._entries = entries_of(self._tree, self.path, energies)
        self.geometry = root_text(self._file, GEOMETRY)
        self.provenance = root_text(self._file, PROVENANCE)
        if len(self) == 0:
            raise ShowerError(f"{self.path}: '{EVENTS}' holds no events; give a file with events")

    def __len__(self) -> int:
        return self._entries

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def has(self, *branches: str) -> bool:
        """Whether all these branches are there."""
        return all(name in self.branches for name in branches)

    def flat(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """A branch with one number per event, for the events ``start:stop``.

        Raises:
            FormatError: the branch is missing, damaged, or of another kind.
        """
        values = self._read(name, start, stop)
        if values.ndim != 1:
            raise FormatError(f"{self.path}: branch '{name}' is not one number per event")
        return self._numbers(name, values)

    def lists(self, name: str, start: int, stop: int) -> tuple[Whole, NDArray[Any]]:
        """A branch with a list of numbers per event: the lists' lengths, and their content.

        Raises:
            FormatError: the branch is missing, damaged, or of another kind.
        """
        import awkward

        values = self._read(name, start, stop)
        if values.ndim != 2:
            raise FormatError(
                f"{self.path}: branch '{name}' is not one list of numbers per event; "
                "choose the right format with --from"
            )
        with damage_errors(self.path):
            counts = np.asarray(awkward.to_numpy(awkward.num(values)), dtype=np.int64)
            return counts, self._numbers(name, awkward.flatten(values))

    def table(
        self, collection: str, fields: tuple[str, ...], start: int, stop: int
    ) -> tuple[Whole, dict[str, NDArray[Any]]]:
        """Fields of a collection: its size per event, and their values.

        Raises:
            FormatError: a field is missing, or the fields have different lengths.
        """
        sizes: Whole | None = None
        values: dict[str, NDArray[Any]] = {}
        for field in fields:
            counts, values[field] = self.lists(f"{collection}.{field}", start, stop)
            if sizes is not None and not np.array_equal(counts, sizes):
                raise FormatError(
                    f"{self.path}: '{collection}.{field}' and '{collection}.{fields[0]}' list "
                    f"different numbers of entries after event {start}; make the file again"
                )
            sizes = counts if sizes is None else sizes
        assert sizes is not None
        return sizes, values

    def _read(self, name: str, start: int, stop: int) -> Any:
        if name not in self.branches:
            raise FormatError(
                f"{self.path}: branch '{name}' is missing in '{EVENTS}'; "
                "make the file again with a complete EDM4hep"
            )
        with damage_errors(self.path):
            values = self._tree[name].array(entry_start=start, entry_stop=stop, library="ak")
        if len(values) != stop - start:
            raise FormatError(
                f"{self.path}: branch '{name}' ends before event {stop}; make the file again"
            )
        return values

    def _numbers(self, name: str, values: Any) -> NDArray[Any]:
        import awkward

        with damage_errors(self.path):
            array = np.asarray(awkward.to_numpy(values))
        if array.dtype.kind not in "fiu":
            raise FormatError(f"{self.path}: branch '{name}' holds {array.dtype}, not numbers")
        return array

    def encoding(self, collection: str) -> str | None:
        """The cellID encoding of a collection, as the file says it."""
        key = collection + ENCODING
        own = root_text(self._file, key)
        if own is not None:
            return own
        if "metadata" not in self._file:
            return None
        with damage_errors(self.path):
            tree = self._file["metadata"]
            if "GPStringKeys" not in tree or "GPStringValues" not in tree:
                return None
            names = list(tree["GPStringKeys"].array(library="np")[0])
            texts = list(tree["GPStringValues"].array(library="np")[0])
            found = dict(zip(names, texts, strict=False)).get(key)
            return None if found is None or len(found) == 0 else str(found[0])

    def collection_names(self) -> dict[int, str]:
        """The names of podio's collection numbers; empty where the file does not say."""
        if PODIO not in self._file:
            return {}
        with damage_errors(self.path):
            tree = self._file[PODIO]
            keys = [f"{EVENTS}___idTable/{part}" for part in ("m_collectionIDs", "m_names")]
            if any(key not in tree for key in keys):
                return {}
            numbers, names = (list(tree[key].array(library="np")[0]) for key in keys)
            return {int(n): str(name) for n, name in zip(numbers, names, strict=False)}


def hit_collections(tree: Any) -> list[str]:
    """The SimCalorimeterHit collections: cellID, energy and position, but no measured error.

    The cellID must be lists: the counters ``nX.cellID`` of plain ROOT trees look alike otherwise.
    """
    branches = set(tree.keys(full_paths=False))
    names = [name.removesuffix(".cellID") for name in tree.keys(full_paths=False)]
    return [
        name
        for name in dict.fromkeys(names)
        if {f"{name}.{field}" for field in ("cellID", *_NEEDED)} <= branches
        and f"{name}.energyError" not in branches
        and tree[f"{name}.cellID"].typename.endswith("[]")
    ]


def looks_like(path: Path) -> bool:
    """Whether a file has podio's events, or ours, with calorimeter hits (never raises)."""
    try:
        file = open_root(path)
    except Exception:
        return False
    try:
        kinds = file.classnames(recursive=False, cycle=False)
        if not kinds.keys() & {PODIO, GEOMETRY}:
            return False
        if "RNTuple" in kinds.get(EVENTS, ""):
            return PODIO in kinds
        tree = file[EVENTS] if kinds.get(EVENTS) == "TTree" else None
        return tree is not None and bool(hit_collections(tree))
    except Exception:
        return False
    finally:
        file.close()
