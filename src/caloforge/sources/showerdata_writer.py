"""Writing point clouds in the layout of ``showerdata``: one point per cell with energy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter, CylindricalGrid
from caloforge.showers import Provenance, Showers
from caloforge.sources.checksums import CHECKSUM, checksums
from caloforge.sources.hdf5 import Hdf5Writer
from caloforge.sources.unit_vectors import directions_of

GEV = 1000.0
POINTS = "showers"
TABLES = ("energies", "directions", "pdg")
VERSION = "0.7.0"
"""Version of the package whose layout is written."""


def points_in_cells(calorimeter: Calorimeter) -> NDArray[np.float64]:
    """A point inside every cell, (n_cells, 3): x, y (mm) of its centre and the number of its layer.

    In a ring that is not cut, whose centre lies on the axis, a point in the middle of the ring.
    """
    points = calorimeter.cell_positions.copy()
    points[:, 2] = calorimeter.cell_layer
    for number, layer in enumerate(calorimeter.layers):
        grid = layer.segmentation
        if isinstance(grid, CylindricalGrid) and grid.n_phi == 1:
            first = calorimeter.layer_offset[number]
            points[first : first + layer.n_cells, 0] = grid.axes()[0]
    return points


class ShowerDataWriter(Hdf5Writer):
    """Writes one point per cell with energy.

    Raises:
        FormatError: cells so small that float32 positions do not tell them apart.
    """

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self._points = points_in_cells(calorimeter).astype(np.float32)
        x, y = self._points[:, :2].T
        depth = calorimeter.cell_positions[:, 2]
        if not np.array_equal(calorimeter.locate(x, y, depth), np.arange(calorimeter.n_cells)):
            raise FormatError(
                f"{path}: showerdata keeps positions as float32, too coarse for the cells of "
                f"'{calorimeter.name}'; write another format with --to"
            )
        self._n = self._most = 0
        super().__init__(path, calorimeter, provenance)

    def attributes(self) -> Mapping[str, Any]:
        """What the original simulation said of itself, and the version of the layout."""
        return {**self.provenance.source, "showerdata_version": VERSION}

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Points and what caused them."""
        n, incident = len(showers), showers.incident
        gev = (showers.energy.astype(np.float64) / GEV).astype(np.float32)
        points = np.column_stack([self._points[showers.cell], gev])
        clouds = np.empty(n, dtype=object)
        for k, (a, b) in enumerate(zip(showers.offset[:-1], showers.offset[1:], strict=True)):
            clouds[k] = points[int(a) : int(b)].ravel()
        counts = showers.hits_per_shower.astype(np.int32)
        ids = np.arange(self._n, self._n + n, dtype=np.int32)
        self._n += n
        self._most = max(self._most, int(counts.max(initial=0)))
        pdg = incident["pdg"] if "pdg" in incident else np.zeros(n)
        whole = np.zeros((n, 0))
        return {
            POINTS: clouds,
            CHECKSUM: checksums(showers.offset, (points,), whole),
            "energies": (incident.energy[:, None] / GEV).astype(np.float32),
            "directions": directions_of(incident).astype(np.float32),
            "pdg": pdg.astype(np.int32),
            "shower_ids": ids,
            "num_points": counts,
        }

    def _extend(self, name: str, values: NDArray[Any]) -> None:
        if name != POINTS:
            super()._extend(name, values)
            return
        if name not in self._file:
            kind = h5py.vlen_dtype(np.float32)
            self._file.create_dataset(
                name, shape=(0,), maxshape=(None,), dtype=kind, chunks=(1024,)
            )
        dataset = self._file[name]
        first = len(dataset)
        dataset.resize(first + len(values), axis=0)
        for row, cloud in enumerate(values, start=first):  # together, h5py mixes up equal lengths
            dataset[row] = cloud

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            shape = np.array([self._n, self._most, 4], dtype=np.int32)
            self._file.create_dataset("shape", data=shape, chunks=(3,), fletcher32=True)
        super().__exit__(kind, error, trace)
