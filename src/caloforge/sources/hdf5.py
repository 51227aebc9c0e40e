"""What the HDF5 formats share: recognising, provenance from attributes, growing data sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance, Showers
from caloforge.store.attributes import (
    require_readable_attributes,
    text_of,
    write_text,
)
from caloforge.store.guarded import new_hdf5, uninterrupted
from caloforge.store.reader import open_hdf5

GEOMETRY = "geometry"
"""Attribute with the calorimeter in YAML, in the files that we write."""


def holds(path: Path, wanted: Set[str], absent: Set[str] = frozenset()) -> bool:
    """Whether ``path`` is an HDF5 file with the ``wanted`` data sets and none ``absent``."""
    names = keys_of(path)
    return wanted <= names and not absent & names


def keys_of(path: Path) -> frozenset[str]:
    """Names at the top of an HDF5 file; none where it is not HDF5, or damaged (never raises)."""
    try:
        with open_hdf5(path) as file:
            return frozenset(file)
    except (CaloforgeError, OSError, RuntimeError, ValueError, LookupError):
        return frozenset()


def require(file: h5py.File, path: Path, names: tuple[str, ...]) -> None:
    """Refuse a file without these data sets of numbers.

    Raises:
        FormatError: one is missing, is a group, or holds something else than numbers.
    """
    for name in names:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise FormatError(
                f"{path}: data set '{name}' is missing, only {', '.join(file) or 'nothing'}; "
                "choose the right format with --from"
            )
        if dataset.dtype.kind not in "fiub":
            raise FormatError(
                f"{path}: data set '{name}' holds {dataset.dtype}, not numbers; "
                "choose the right format with --from"
            )


def calorimeter_of(
    file: h5py.File, path: Path, given: Calorimeter | None, usual: Callable[[], Calorimeter]
) -> Calorimeter:
    """The calorimeter of a file: the given one, else the one we wrote into it, else the usual."""
    if given is not None:
        return given
    require_readable_attributes(file, path)
    text = file.attrs.get(GEOMETRY)
    if text is None:
        return usual()
    return Calorimeter.from_yaml(text_of(text), f"{path}: {GEOMETRY}")


def source_provenance(file: h5py.File, path: Path, calorimeter: Calorimeter) -> Provenance:
    """The provenance of a foreign file: its attributes, and our own if we wrote it."""
    require_readable_attributes(file, path)
    source = {key: _plain(value) for key, value in file.attrs.items()}
    source.pop(GEOMETRY, None)
    own = source.pop("provenance", None)
    parents = (Provenance.from_json(own, str(path)).to_dict(),) if own else ()
    return Provenance(step="read", geometry=calorimeter.hash, source=source, parents=parents)


def _plain(value: Any) -> Any:
    """An HDF5 attribute as a JSON-ready value."""
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


class Hdf5Writer(ABC):
    """Appends batches to data sets that grow; a subclass says what a batch looks like.

    Raises:
        OutputError: the folder is missing, or the disk is full.
        ShowerError: the batches do not all have the same data sets.
    """

    chunk_bytes: ClassVar[int] = 1 << 20
    """Aimed size of a chunk before compression."""

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self.path = path
        self.calorimeter = calorimeter
        self.provenance = provenance
        self._context = new_hdf5(path)

    @abstractmethod
    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """The rows that these showers add to every data set."""

    def attributes(self) -> Mapping[str, Any]:
        """Attributes of the file: what the original simulation said of itself."""
        return dict(self.provenance.source)

    def __enter__(self) -> Hdf5Writer:
        self._new = self._context.__enter__()
        self._file = self._new.file
        own = {"provenance": self.provenance.to_json(), GEOMETRY: self.calorimeter.to_yaml()}
        write_text(self._file, own)
        for key, value in self.attributes().items():  # as other readers expect it
            self._file.attrs[key] = value
        return self

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        self.calorimeter.require_same(showers.calorimeter, "a batch of showers")
        content = self.content(showers)
        if len(self._file) and set(self._file) != set(content):
            differing = ", ".join(sorted(set(self._file) ^ set(content)))
            raise ShowerError(
                f"{self.path}: only some of the inputs have what '{differing}' needs; "
                "convert them one by one"
            )
        with uninterrupted():
            for name, values in content.items():
                self._extend(name, values)
        self._new.check()

    def _extend(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._file:
            row = max(1, values[:1].nbytes)
            self._file.create_dataset(
                name,
                shape=(0, *values.shape[1:]),
                maxshape=(None, *values.shape[1:]),
                dtype=values.dtype,
                chunks=(int(np.clip(self.chunk_bytes // row, 1, 1024)), *values.shape[1:]),
                compression="gzip",
                fletcher32=True,  # a flipped byte is noticed
            )
        dataset = self._file[name]
        old = len(dataset)
        dataset.resize(old + len(values), axis=0)
        dataset[old:] = values

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)
