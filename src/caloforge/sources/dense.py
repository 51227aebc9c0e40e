"""What the dense HDF5 formats share: every cell of every shower in data sets of fixed shape."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, CylindricalGrid
from caloforge.showers import Incident, Showers
from caloforge.sources.hdf5 import calorimeter_of, require, source_provenance
from caloforge.sources.part_reader import PartReader, check_energies
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

_MAX_CACHE = 256 << 20


class DenseReader(PartReader):
    """Reads data sets with one row per shower; a subclass says which, and what they mean.

    Raises:
        FormatError: a data set is missing or has the wrong shape, or the calorimeter does not fit.
        ShowerError: no showers.
    """

    required: ClassVar[tuple[str, ...]]
    """Data sets that every file has, the cells first."""

    optional: ClassVar[tuple[str, ...]] = ()
    """Data sets that a file may have."""

    def __init__(self, path: Path, given: Calorimeter | None) -> None:
        self._file = open_hdf5(path)
        try:
            with damage_errors(path):
                require(self._file, path, self.required)
                calorimeter = calorimeter_of(self._file, path, given, lambda: self.usual(path))
                self._check(path, calorimeter)
                provenance = source_provenance(self._file, path, calorimeter)
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, calorimeter, provenance, len(self._file[self.required[0]]))
        self._open: dict[str, h5py.Dataset] = {}

    @abstractmethod
    def usual(self, path: Path) -> Calorimeter:
        """The calorimeter of a foreign file, from the shape of its data sets.

        Raises:
            FormatError: no known calorimeter has this shape.
        """

    @abstractmethod
    def row_shapes(self, path: Path, calorimeter: Calorimeter) -> Mapping[str, tuple[Shape, ...]]:
        """Shapes that one row of every data set may have; these data sets must be there.

        Raises:
            FormatError: the format cannot hold this calorimeter.
        """

    @abstractmethod
    def cells(self, start: int, stop: int) -> Floats:
        """Energies (MeV) of the showers ``start:stop`` in cell order, shape (n, n_cells)."""

    @abstractmethod
    def columns(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        """The incident table."""

    def _check(self, path: Path, calorimeter: Calorimeter) -> None:
        present = [name for name in self.optional if name in self._file]
        shapes = self.row_shapes(path, calorimeter)
        allowed = {name: shapes[name] for name in shapes if name not in self.optional}
        allowed |= {name: shapes[name] for name in present}
        require(self._file, path, tuple(allowed))
        for name, rows in allowed.items():
            shape = self._file[name].shape
            if not shape or shape[1:] not in rows:
                needed = " or ".join(f"(N{''.join(f', {n}' for n in row)})" for row in rows)
                raise FormatError(
                    f"{path}: '{name}' has shape {shape}, '{calorimeter.name}' needs {needed}; "
                    "choose another --detector"
                )
        first = self.required[0]
        for name in allowed:
            if len(self._file[name]) != len(self._file[first]):
                raise FormatError(
                    f"{path}: '{name}' has {len(self._file[name])} rows for "
                    f"{len(self._file[first])} showers in '{first}'; make the file again"
                )
        if len(self._file[first]) == 0:
            raise ShowerError(f"{path}: '{first}' holds no showers; give a file with events")

    def shape(self, name: str) -> Shape:
        """Shape of a data set."""
        return tuple(int(n) for n in self._file[name].shape)

    def has(self, name: str) -> bool:
        """Whether the file has a data set."""
        return name in self._file

    def attribute(self, name: str) -> Any:
        """An attribute of the file; None where it has none."""
        return self._file.attrs.get(name)

    def numbers(self, name: str, rows: slice) -> Floats:
        """Rows of a data set."""
        if name not in self._open:
            self._open[name] = _with_row_cache(self._file, name)
        return np.asarray(self._open[name][rows], dtype=np.float64)

    def energies(self, name: str, start: int, stop: int) -> Floats:
        """Rows of a data set of energies: finite and not negative.

        Raises:
            ShowerError: names the first bad shower.
        """
        values = self.numbers(name, slice(start, stop))
        check_energies(self.path, name, values, start)
        return values

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        incident = Incident(self.columns(slice(start, stop)))
        dense = self.cells(start, stop)
        return Showers.from_dense(self.calorimeter, incident, dense, self.provenance)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _with_row_cache(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set that remembers all chunks of one row of them, up to 256 MiB.

    Public files often have chunks of many rows and few columns: without it every batch would
    unpack the same chunks again.
    """
    dataset = file[name]
    if dataset.chunks is None:
        return dataset
    sizes = zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
    across = math.prod(-(-size // chunk) for size, chunk in sizes)
    bytes_ = across * math.prod(dataset.chunks) * dataset.dtype.itemsize
    del dataset  # the cache is set when a data set is opened anew
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(max(521, 10 * across + 1), min(bytes_, _MAX_CACHE), 1.0)
    return h5py.Dataset(h5py.h5d.open(file.id, name.encode(), access))


def cylindrical_layers(
    calorimeter: Calorimeter, path: Path, format_name: str
) -> list[CylindricalGrid]:
    """The rings of every layer.

    Raises:
        FormatError: a layer is not cylindrical.
    """
    grids = []
    for number, layer in enumerate(calorimeter.layers):
        if not isinstance(layer.segmentation, CylindricalGrid):
            raise FormatError(
                f"{path}: {format_name} holds rings around the shower axis, layer {number} of "
                f"'{calorimeter.name}' is cartesian; write another format with --to"
            )
        grids.append(layer.segmentation)
    return grids
