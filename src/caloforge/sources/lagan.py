"""LAGAN's jet images: HDF5 ``image`` (N, eta, phi) in GeV and ``signal`` (N), 1 or 0.

Jets are not showers, but an image of towers is one layer of cells, so they fit where three things
stand for others: the cells and the incident energy hold transverse momenta (``jet_pt``, GeV, where
the file has it, else the sum of the image); signal is a W boson (PDG code 24) and background the
jet of a gluon (21); towers of 0.1 x 0.1 in eta and phi are the cells of ``jet-image-25``. Negative
towers, left by the interpolation that rotates the images, count as empty, as in LAGAN's training,
and it is said. Masses and substructure variables of the jets are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, ShowerError
from caloforge.geometry import Calorimeter, CartesianGrid, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.dense import DenseReader, Floats, Shape
from caloforge.sources.hdf5 import Hdf5Writer, holds
from caloforge.sources.incident_losses import not_carried
from caloforge.sources.part_reader import check_energies

IMAGE = "image"
SIGNAL = "signal"
MOMENTUM = "jet_pt"
USUAL = "jet-image-25"
GEV = 1000.0

BACKGROUND_PDG, SIGNAL_PDG = 21, 24


def image_shape(calorimeter: Calorimeter, path: Path) -> tuple[int, int]:
    """Cells along (x, y) of the only layer.

    Raises:
        FormatError: several layers, or rings.
    """
    grid = calorimeter.layers[0].segmentation
    if calorimeter.n_layers > 1 or not isinstance(grid, CartesianGrid):
        raise FormatError(
            f"{path}: lagan holds one layer of cells in x and y, '{calorimeter.name}' is not so; "
            "write another format with --to"
        )
    return grid.shape


class LaganReader(DenseReader):
    """Reads images."""

    required = (IMAGE, SIGNAL)
    optional = (MOMENTUM,)

    def __init__(self, path: Path, given: Calorimeter | None) -> None:
        super().__init__(path, given)
        self._negative = False
        known = {IMAGE, SIGNAL, MOMENTUM}
        self._left = [name for name in self._file if name not in known]

    def usual(self, path: Path) -> Calorimeter:
        """The towers of the publication."""
        return load_detector(USUAL)

    def row_shapes(self, path: Path, calorimeter: Calorimeter) -> Mapping[str, tuple[Shape, ...]]:
        """One image, one label, one momentum."""
        return {
            IMAGE: (image_shape(calorimeter, path),),
            SIGNAL: ((), (1,)),
            MOMENTUM: ((), (1,)),
        }

    def columns(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        """Transverse momentum and particle."""
        signal = self.numbers(SIGNAL, rows).reshape(-1)
        wrong = np.flatnonzero(~np.isin(signal, (0.0, 1.0)))
        if len(wrong):
            raise ShowerError(
                f"{self.path}: '{SIGNAL}' of jet {rows.start + wrong[0]} is {signal[wrong[0]]}, "
                "neither 0 (background) nor 1 (signal); correct it"
            )
        if self.has(MOMENTUM):
            momentum = self.numbers(MOMENTUM, rows).reshape(-1)
        else:
            momentum = self._towers(rows).sum(axis=(1, 2))
        pdg = np.where(signal == 1.0, SIGNAL_PDG, BACKGROUND_PDG)
        return {"energy": momentum * GEV, "pdg": pdg}

    def cells(self, start: int, stop: int) -> Floats:
        """Towers in cell order."""
        return self._towers(slice(start, stop)).reshape(stop - start, -1) * GEV

    def _towers(self, rows: slice) -> Floats:
        """Images in GeV, negative towers empty."""
        image = self.numbers(IMAGE, rows)
        negative = np.isfinite(image) & (image < 0.0)
        self._negative |= bool(negative.any())
        image = np.where(negative, 0.0, image)
        check_energies(self.path, IMAGE, image, rows.start)
        return image

    @property
    def notes(self) -> list[str]:
        """Negative towers, and data sets that were not read."""
        notes = []
        if self._negative:
            notes.append(f"{self.path}: some towers are negative: taken as empty")
        if self._left:
            notes.append(f"{self.path}: not read: {', '.join(self._left)}")
        return notes


class LaganWriter(Hdf5Writer):
    """Writes images."""

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self._shape = image_shape(calorimeter, path)
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Images, labels, momenta."""
        image = showers.dense().reshape(-1, *self._shape).astype(np.float64) / GEV
        pdg = showers.incident.columns.get("pdg", np.zeros(len(showers)))
        return {
            IMAGE: image.astype(np.float32),
            SIGNAL: (np.abs(pdg) == SIGNAL_PDG).astype(np.float32),
            MOMENTUM: showers.incident.energy / GEV,
        }


class Lagan(Source):
    """The layout of LAGAN's jet images."""

    name = "lagan"
    description = "LAGAN's jet images: HDF5 image (N,25,25) and jet_pt in GeV, signal 0 or 1"

    def matches(self, path: Path) -> bool:
        """``image`` and ``signal``."""
        return holds(path, {IMAGE, SIGNAL})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> LaganReader:
        """Open for reading, as ``jet-image-25`` unless another calorimeter is given."""
        return LaganReader(path, calorimeter)

    def create(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> LaganWriter:
        """Write images, of one layer of cells in x and y."""
        return LaganWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Directions, positions, and particles that are neither signal nor background."""
        lost = not_carried(self.name, incident, ("theta", "phi", "x", "y", "z"))
        known = (BACKGROUND_PDG, SIGNAL_PDG)
        if "pdg" not in incident or not np.isin(incident["pdg"], known).all():
            lost.append(
                f"lagan keeps of pdg only whether it is a W (signal, {SIGNAL_PDG}) or not "
                f"(background, {BACKGROUND_PDG}): dropped"
            )
        return lost
