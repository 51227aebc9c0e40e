"""Reading a store file, whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the Blosc2 filter)
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, FormatError, GeometryError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Incident, Provenance, Showers
from caloforge.store import schema
from caloforge.store.attributes import require_readable_attributes, text_of
from caloforge.store.damage import damage_errors


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        FormatError: missing, not HDF5, or truncated.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise FormatError(
            f"{path}: is a folder; give a file, or a folder of shards with index.json"
        )
    try:
        return h5py.File(path, "r")
    except PermissionError as error:
        raise FormatError(f"{path}: no permission to read it; check its owner and mode") from error
    except OSError as error:
        text = str(error)
        if "truncated" in text:
            problem = "truncated HDF5 file; copy or make it again"
        elif "signature" in text:
            problem = "not an HDF5 file, whatever its name says; give a shower file"
        else:
            problem = f"unreadable HDF5 file ({text}); copy or make it again"
        raise FormatError(f"{path}: {problem}") from error


@lru_cache(maxsize=64)
def _parsed(text: str) -> Calorimeter:
    return Calorimeter.from_yaml(text)


def _calorimeter(text: str, path: Path) -> Calorimeter:
    """The calorimeter in a file; the shards of a data set share one object."""
    try:
        return _parsed(text)
    except GeometryError:
        return Calorimeter.from_yaml(text, f"{path}: geometry")


class ShowerFile:
    """One store file, opened lazily: nothing but its index is kept in memory.

    Raises:
        FormatError: not a store file of a known schema, truncated or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            with damage_errors(self.path, "the header is damaged"):
                self._read_header()
        except BaseException:
            self._file.close()
            raise

    def _read_header(self) -> None:
        require_readable_attributes(self._file, self.path)
        attributes = self._file.attrs
        for key in ("schema", "geometry", "provenance"):
            if key not in attributes:
                raise FormatError(
                    f"{self.path}: no attribute '{key}': not a Caloforge store; "
                    "turn it into one with 'caloforge convert'"
                )
        if text_of(attributes["schema"]) != str(schema.SCHEMA):
            raise FormatError(
                f"{self.path}: schema {attributes['schema']}, this version reads {schema.SCHEMA}; "
                "install a newer caloforge"
            )
        self.calorimeter = _calorimeter(text_of(attributes["geometry"]), self.path)
        self.provenance = Provenance.from_json(text_of(attributes["provenance"]), str(self.path))
        for name in (schema.OFFSET, schema.CELL, schema.ENERGY, f"{schema.INCIDENT}/energy"):
            if not isinstance(self._file.get(name), h5py.Dataset):
                raise FormatError(f"{self.path}: data set '{name}' is missing; make the file again")
        self.offset: NDArray[np.uint64] = self._load(schema.OFFSET, 0, None)
        hits = len(self._file[schema.CELL])
        if (
            len(self.offset) < 1
            or self.offset[-1] != hits
            or len(self._file[schema.ENERGY]) != hits
        ):
            raise FormatError(
                f"{self.path}: '{schema.OFFSET}' does not match the {hits} hits in "
                f"'{schema.CELL}'; make the file again"
            )

    def _load(self, name: str, start: int, stop: int | None) -> NDArray[Any]:
        with damage_errors(self.path, f"data set '{name}' is damaged near entry {start}"):
            return np.asarray(self._file[name][start:stop])

    def __enter__(self) -> ShowerFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading is then an error."""
        self._file.close()

    def __len__(self) -> int:
        return len(self.offset) - 1

    @property
    def columns(self) -> list[str]:
        """The incident columns that the file holds."""
        with damage_errors(self.path, f"group '{schema.INCIDENT}' is damaged"):
            return [name for name in COLUMNS if name in self._file[schema.INCIDENT]]

    def incident(self, start: int = 0, stop: int | None = None) -> Incident:
        """The incident table of showers ``start:stop``, without their hits."""
        stop = len(self) if stop is None else min(stop, len(self))
        names = self.columns
        try:
            return Incident(
                {name: self._load(f"{schema.INCIDENT}/{name}", start, stop) for name in names}
            )
        except FormatError:
            raise
        except CaloforgeError as error:
            raise type(error)(f"{self.path}: {error}") from error

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Showers ``start:stop`` (all by default).

        Raises:
            FormatError: the data are damaged.
            ShowerError: the data hold impossible values.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        first, last = int(self.offset[start]), int(self.offset[stop])
        incident = self.incident(start, stop)
        try:
            return Showers(
                self.calorimeter,
                incident,
                self.offset[start : stop + 1] - self.offset[start],
                self._load(schema.CELL, first, last),
                self._load(schema.ENERGY, first, last),
                self.provenance,
            )
        except FormatError:
            raise
        except CaloforgeError as error:
            raise type(error)(f"{self.path}: {error}") from error

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of ``size`` showers, read one by one."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)
