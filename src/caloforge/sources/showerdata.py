"""The point clouds of the Python package ``showerdata`` (0.7), in HDF5.

``showers`` (N,) holds one flat list of points per shower, ``shape`` = (N, most points, columns)
says how many columns a point has: x and y (mm), the number of its layer, energy (GeV), perhaps a
time. ``energies`` (N, 1) GeV, ``directions`` (N, 3) unit vectors (z into the calorimeter), ``pdg``,
``shower_ids``, ``num_points``. The package names no unit for the incident energy; that of points is
clear from its thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.checksums import CHECKSUM, checksums, require_checksums
from caloforge.sources.hdf5 import (
    calorimeter_of,
    holds,
    require,
    source_provenance,
)
from caloforge.sources.part_reader import PartReader
from caloforge.sources.showerdata_writer import GEV, POINTS, TABLES, ShowerDataWriter
from caloforge.sources.unit_vectors import angles_of
from caloforge.store.attributes import require_sound_heaps
from caloforge.store.damage import damage_errors
from caloforge.store.reader import open_hdf5
from caloforge.transform import voxelise

_LAYER_MARGIN = 0.1
"""The package takes layer = floor(z + 0.1)."""

_UNIT = 1e-3
"""Largest difference of a direction's length from 1."""


class ShowerDataReader(PartReader):
    """Reads point clouds into cells; points outside every cell are counted in the tally.

    Raises:
        FormatError: a data set is missing or has the wrong shape, or no calorimeter is said.
        ShowerError: no showers.
    """

    def __init__(self, path: Path, given: Calorimeter | None) -> None:
        self._file = open_hdf5(path)
        try:
            with damage_errors(path):
                require_sound_heaps(path)
                calorimeter = calorimeter_of(self._file, path, given, lambda: _unknown(path))
                self._check(path)
                provenance = source_provenance(self._file, path, calorimeter)
        except BaseException:
            self._file.close()
            raise
        layers = calorimeter.layers
        self._depth = np.array([layer.z + layer.thickness / 2 for layer in layers])
        self._before = layers[0].z - 1.0
        super().__init__(path, calorimeter, provenance, len(self._file[POINTS]))

    def _check(self, path: Path) -> None:
        require(self._file, path, (*TABLES, "shape"))
        points = self._file.get(POINTS)
        kind = h5py.check_vlen_dtype(points.dtype) if isinstance(points, h5py.Dataset) else None
        if kind is None or np.dtype(kind).kind != "f" or points.ndim != 1:
            raise FormatError(
                f"{path}: '{POINTS}' does not hold one list of numbers per shower; "
                "choose the right format with --from"
            )
        shape = np.asarray(self._file["shape"]).ravel()
        if shape.shape != (3,) or shape[2] not in (4, 5):
            raise FormatError(
                f"{path}: 'shape' is {shape.tolist()}, not (showers, points, 4 or 5); "
                "make the file again"
            )
        self._columns = int(shape[2])
        for name in TABLES:
            if self._file[name].shape[:1] != points.shape:
                raise FormatError(
                    f"{path}: '{name}' has shape {self._file[name].shape} for {len(points)} "
                    f"showers in '{POINTS}'; make the file again"
                )
        if self._file["directions"].shape[1:] != (3,):
            raise FormatError(
                f"{path}: 'directions' has shape {self._file['directions'].shape}, not (N, 3); "
                "make the file again"
            )
        if len(points) == 0:
            raise ShowerError(f"{path}: '{POINTS}' holds no showers; give a file with events")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, start: int, stop: int) -> Showers:
        """Showers ``start:stop``."""
        rows = slice(start, stop)
        clouds = self._file[POINTS][rows]
        lengths = np.array([len(cloud) for cloud in clouds])
        if np.any(lengths % self._columns):
            bad = start + int(np.flatnonzero(lengths % self._columns)[0])
            raise ShowerError(
                f"{self.path}: shower {bad} of '{POINTS}' is no whole number of points of "
                f"{self._columns} values; make the file again"
            )
        stored = np.concatenate(clouds).reshape(-1, self._columns)
        if CHECKSUM in self._file:
            self._check_sums(stored, lengths // self._columns, rows)
        flat = stored.astype(np.float64)
        shower = np.repeat(np.arange(stop - start), lengths // self._columns)
        self._check_points(flat, shower + start)
        kept = flat[:, 3] > 0  # the rest is padding
        layer = np.floor(flat[kept, 2] + _LAYER_MARGIN)
        known = (layer >= 0) & (layer < len(self._depth))
        depth = self._depth[np.where(known, layer, 0).astype(np.int64)]
        position = np.column_stack([flat[kept, :2], np.where(known, depth, self._before)])
        return voxelise(
            self.calorimeter,
            Incident(self._incident(rows)),
            shower[kept],
            position,
            flat[kept, 3] * GEV,
            self.tally,
            self.provenance,
        )

    def _check_sums(self, stored: NDArray[Any], counts: NDArray[np.int64], rows: slice) -> None:
        offset = np.concatenate([[0], np.cumsum(counts)])
        found = checksums(offset, (stored,), np.zeros((len(counts), 0)))
        require_checksums(self.path, rows.start, found, self._file[CHECKSUM][rows])

    def _check_points(self, points: NDArray[np.float64], shower: NDArray[np.int64]) -> None:
        bad = ~np.isfinite(points[:, :4]).all(axis=1) | (points[:, 3] < 0)
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ShowerError(
                f"{self.path}: shower {shower[first]} of '{POINTS}' has a point "
                f"{points[first].tolist()}; points must be finite, energies not negative"
            )

    def _incident(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        direction = np.asarray(self._file["directions"][rows], dtype=np.float64)
        length = np.linalg.norm(direction, axis=1)
        bad = ~(np.abs(length - 1) < _UNIT)
        if bad.any():
            number = int(np.flatnonzero(bad)[0])
            raise ShowerError(
                f"{self.path}: shower {rows.start + number} has the direction "
                f"{direction[number].tolist()} in 'directions'; give unit vectors"
            )
        theta, phi = angles_of(direction)
        energy = np.asarray(self._file["energies"][rows], dtype=np.float64)
        return {
            "energy": energy.reshape(len(direction), -1)[:, 0] * GEV,
            "pdg": np.asarray(self._file["pdg"][rows]).reshape(len(direction), -1)[:, 0],
            "theta": theta,
            "phi": phi,
        }


def _unknown(path: Path) -> NoReturn:
    raise FormatError(
        f"{path}: point clouds say nothing of the calorimeter; name it with --detector"
    )


class ShowerData(Source):
    """Point clouds of the package ``showerdata``."""

    name = "showerdata"
    description = "showerdata HDF5: point clouds x, y (mm), layer, energy (GeV)"

    def matches(self, path: Path) -> bool:
        """``showers``, ``energies``, ``directions``, ``pdg`` and ``shape``."""
        return holds(path, {POINTS, *TABLES, "shape"})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> ShowerDataReader:
        """Open for reading; files of others need a calorimeter."""
        return ShowerDataReader(path, calorimeter)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> ShowerDataWriter:
        """Write the centres of the cells as points."""
        return ShowerDataWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Impact points, what only Triforce files know, and what had to be made up."""
        lost = [
            f"showerdata cannot carry {name}: dropped"
            for name in ("x", "y", "z", "opening_angle", "conversion")
            if name in incident
        ]
        if "theta" not in incident and "phi" not in incident:
            lost.append("showerdata needs a direction: normal incidence written")
        if "pdg" not in incident:
            lost.append("showerdata needs a particle code: 0 written, as the showers have none")
        return lost
