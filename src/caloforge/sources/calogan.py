"""CaloGAN: HDF5 ``layer_k`` (N, x, y) in MeV, ``energy`` (N,1) in GeV; or its ROOT tree.

``overflow`` (N, layers) in MeV is the energy beside the cells of every layer: counted when read,
written as zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter, CartesianGrid, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import ShowerWriter, Source, SourceReader
from caloforge.sources.calogan_root import (
    GEV,
    USUAL,
    CaloGanRootReader,
    CaloGanRootWriter,
    count_overflow,
    is_calogan_root,
)
from caloforge.sources.dense import DenseReader, Floats, Shape
from caloforge.sources.hdf5 import Hdf5Writer, holds
from caloforge.sources.incident_losses import not_carried
from caloforge.sources.root_files import is_root

ENERGY = "energy"
OVERFLOW = "overflow"


def layer_shapes(calorimeter: Calorimeter, path: Path) -> list[tuple[int, int]]:
    """Cells along (x, y) of every layer.

    Raises:
        FormatError: a layer is not cartesian.
    """
    for number, layer in enumerate(calorimeter.layers):
        if not isinstance(layer.segmentation, CartesianGrid):
            raise FormatError(
                f"{path}: calogan holds layers of cells in x and y, layer {number} of "
                f"'{calorimeter.name}' is cylindrical; write another format with --to"
            )
    return [layer.segmentation.shape for layer in calorimeter.layers]


class CaloGanReader(DenseReader):
    """Reads layers in HDF5."""

    required = ("layer_0", ENERGY)
    optional = (OVERFLOW,)

    def usual(self, path: Path) -> Calorimeter:
        """The liquid-argon calorimeter of the publication."""
        return load_detector(USUAL)

    def row_shapes(self, path: Path, calorimeter: Calorimeter) -> Mapping[str, tuple[Shape, ...]]:
        """One data set per layer, one energy, one overflow per layer."""
        shapes = layer_shapes(calorimeter, path)
        extra = f"layer_{len(shapes)}"
        if self.has(extra):
            raise FormatError(
                f"{path}: holds '{extra}', '{calorimeter.name}' has {len(shapes)} layers only; "
                "choose another --detector"
            )
        layers = {f"layer_{k}": (shape,) for k, shape in enumerate(shapes)}
        return {**layers, ENERGY: ((1,), ()), OVERFLOW: ((len(shapes),),)}

    def columns(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        """The energy alone."""
        return {"energy": self.numbers(ENERGY, rows).reshape(-1) * GEV}

    def cells(self, start: int, stop: int) -> Floats:
        """The layers, one behind the other."""
        names = [f"layer_{k}" for k in range(self.calorimeter.n_layers)]
        dense = np.hstack([self.energies(k, start, stop).reshape(stop - start, -1) for k in names])
        if self.has(OVERFLOW):
            count_overflow(self.tally, dense, self.energies(OVERFLOW, start, stop))
        return dense


class CaloGanWriter(Hdf5Writer):
    """Writes layers in HDF5."""

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self._shapes = layer_shapes(calorimeter, path)
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Layers, energies, no overflow."""
        parts = np.split(showers.dense(), self.calorimeter.layer_offset[1:-1], axis=1)
        layers = {
            f"layer_{k}": part.reshape(-1, *shape)
            for k, (part, shape) in enumerate(zip(parts, self._shapes, strict=True))
        }
        return {
            **layers,
            ENERGY: showers.incident.energy[:, None] / GEV,
            OVERFLOW: np.zeros((len(showers), len(parts)), np.float32),
        }


class CaloGan(Source):
    """The layout of the CaloGAN data sets: layers of different cells."""

    name = "calogan"
    description = "CaloGAN: HDF5 layer_0.. (N,x,y) in MeV, energy (N,1) in GeV, or its ROOT tree"
    suffixes = (".h5", ".hdf5", ".root")

    def matches(self, path: Path) -> bool:
        """``layer_0`` and ``energy``, or a tree with ``cell_0`` and ``TotalEnergy``."""
        return is_calogan_root(path) if is_root(path) else holds(path, {"layer_0", ENERGY})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> SourceReader:
        """Open for reading, as ``calogan-lar`` unless another calorimeter is given."""
        if is_root(path):
            return CaloGanRootReader(path, calorimeter, layer_shapes)
        return CaloGanReader(path, calorimeter)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> AbstractContextManager[ShowerWriter]:
        """Write ROOT where the name ends in ``.root``, else HDF5."""
        if path.suffix.lower() == ".root":
            return CaloGanRootWriter(path, calorimeter, provenance, layer_shapes)
        return CaloGanWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Everything but the energy; the overflow is not known."""
        lost = not_carried(self.name, incident, ("pdg", "theta", "phi", "x", "y", "z"))
        return [*lost, "calogan holds an overflow beside the cells: 0 written, it is not known"]
