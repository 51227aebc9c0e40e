"""What the two LCD/3DGAN HDF5 layouts share: dense images ``ECAL`` (N, x, y, depth)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.hdf5 import Hdf5Writer, calorimeter_of, require, source_provenance
from caloforge.sources.part_reader import PartReader, check_energies
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5

IMAGE = "ECAL"
IMPACT = "impact_mm"
OPTIONAL = (IMPACT, "pdgID")
TRIFORCE_COLUMNS = ("opening_angle", "conversion")

Columns = dict[str, NDArray[Any]]


def grid_of(calorimeter: Calorimeter, path: Path) -> tuple[int, int, int]:
    """(depth, x, y) of a calorimeter whose layers all have the same cells.

    Raises:
        FormatError: the layers differ, so no single image can hold them.
    """
    if calorimeter.grid_shape is None:
        raise FormatError(
            f"{path}: an LCD image needs the same cells in every layer, '{calorimeter.name}' has "
            "different ones; write another format with --to"
        )
    return calorimeter.grid_shape


class LcdReader(PartReader):
    """Reads ``ECAL`` images: value x ``to_mev`` is MeV; ``columns`` reads the incident table.

    Raises:
        FormatError: a data set is missing or has the wrong shape.
        ShowerError: no showers.
    """

    def __init__(
        self,
        path: Path,
        given: Calorimeter | None,
        usual: str,
        to_mev: float,
        columns: Callable[[h5py.File, slice], Columns],
        required: tuple[str, ...],
    ) -> None:
        self._to_mev = to_mev
        self._columns = columns
        self._file = open_hdf5(path)
        try:
            with damage_errors(path):
                calorimeter = calorimeter_of(self._file, path, given, lambda: load_detector(usual))
                depth, n_x, n_y = grid_of(calorimeter, path)
                self._check(path, calorimeter, (n_x, n_y, depth), required)
                provenance = source_provenance(self._file, path, calorimeter)
        except BaseException:
            self._file.close()
            raise
        super().__init__(path, calorimeter, provenance, len(self._file[IMAGE]))

    def _check(
        self,
        path: Path,
        calorimeter: Calorimeter,
        shape: tuple[int, int, int],
        required: tuple[str, ...],
    ) -> None:
        tables = (*required, *(name for name in OPTIONAL if name in self._file))
        require(self._file, path, (IMAGE, *tables))
        images = self._file[IMAGE]
        if images.shape[1:] != shape:
            raise FormatError(
                f"{path}: '{IMAGE}' has shape {images.shape}, '{calorimeter.name}' needs "
                f"(N, {', '.join(map(str, shape))}); choose another --detector"
            )
        for name in tables:
            if self._file[name].shape[:1] != images.shape[:1]:
                raise FormatError(
                    f"{path}: '{name}' has shape {self._file[name].shape} for "
                    f"{len(images)} images in '{IMAGE}'; make the file again"
                )
        if len(images) == 0:
            raise ShowerError(f"{path}: '{IMAGE}' holds no showers; give a file with events")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        rows = slice(start, stop)
        images = np.asarray(self._file[IMAGE][rows], dtype=np.float64)
        columns = self._columns(self._file, rows)
        check_energies(self.path, IMAGE, images, start)
        layered = (images * self._to_mev).transpose(0, 3, 1, 2).reshape(len(images), -1)
        return Showers.from_dense(self.calorimeter, Incident(columns), layered, self.provenance)


class LcdWriter(Hdf5Writer):
    """Writes ``ECAL`` images of MeV / ``to_mev`` and what ``rows`` makes of the incident table."""

    chunk_bytes: ClassVar[int] = 3 << 20

    def __init__(
        self,
        path: Path,
        calorimeter: Calorimeter,
        provenance: Provenance,
        to_mev: float,
        rows: Callable[[Incident], Mapping[str, NDArray[Any]]],
    ) -> None:
        self._depth, self._n_x, self._n_y = grid_of(calorimeter, path)
        self._to_mev = to_mev
        self._rows = rows
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Images and the incident table."""
        dense = showers.dense().astype(np.float64) / self._to_mev
        images = dense.reshape(-1, self._depth, self._n_x, self._n_y).transpose(0, 2, 3, 1)
        return {IMAGE: images.astype(np.float32), **self._rows(showers.incident)}


def float32_column(values: NDArray[Any]) -> NDArray[np.float32]:
    """A column as the layouts store it."""
    return np.asarray(values, dtype=np.float32)


def impact(file: h5py.File, rows: slice, depth: float) -> Columns:
    """x, y, z of a point on the particle's line, from the optional ``impact_mm`` data set."""
    if IMPACT not in file:
        return {}
    point = np.asarray(file[IMPACT][rows], dtype=np.float64)
    if point.ndim != 2 or point.shape[1] != 2:
        raise ValueError(f"'{IMPACT}' has shape {file[IMPACT].shape}, expected (N, 2)")
    return {"x": point[:, 0], "y": point[:, 1], "z": np.full(len(point), depth)}


def impact_rows(incident: Incident) -> dict[str, NDArray[Any]]:
    """The ``impact_mm`` data set of an incident table that has x and y."""
    if "x" not in incident or "y" not in incident:
        return {}
    return {IMPACT: float32_column(np.column_stack([incident["x"], incident["y"]]))}


def dropped(name: str, incident: Incident) -> list[str]:
    """What of the columns that only Triforce files know is lost in format ``name``."""
    return [
        f"{name} cannot carry {column}: dropped; use triforce"
        for column in TRIFORCE_COLUMNS
        if column in incident
    ]
