"""CaloChallenge HDF5: ``incident_energies`` (N,1) and ``showers`` (N, voxels), both in MeV.

Inside a layer the radius runs fastest, then alpha: voxel ``alpha * n_r + r`` is our cell
``r * n_phi + phi``. The particle is that of the data set; in our own files an attribute names it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeWarning, FormatError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import Source
from caloforge.sources.dense import DenseReader, Floats, Shape, cylindrical_layers
from caloforge.sources.hdf5 import GEOMETRY, Hdf5Writer, holds
from caloforge.sources.incident_losses import not_carried

ENERGIES = "incident_energies"
VOXELS = "showers"

PDG = "caloforge_pdg"
"""Attribute with the particle code, in the files that we write of one kind of particle."""

DATA_SETS = {
    368: ("calochallenge-1-photons", 22),
    533: ("calochallenge-1-pions", 211),
    6480: ("par04-siw", 11),
    40500: ("par04-siw-fine", 11),
}
"""Calorimeter and particle of the official data sets 1 (photons, pions), 2 and 3, by voxels."""

ONE_CODE = "calochallenge carries one particle code per file, the showers have several: dropped"


def voxel_cells(calorimeter: Calorimeter, path: Path) -> NDArray[np.int64]:
    """Our cell number of every voxel, in the order of the file: shape (n_cells,).

    Raises:
        FormatError: a layer is not cylindrical.
    """
    parts = []
    grids = cylindrical_layers(calorimeter, path, "calochallenge")
    for start, grid in zip(calorimeter.layer_offset[:-1], grids, strict=True):
        n_r, n_phi = grid.shape
        parts.append(start + np.arange(n_r * n_phi).reshape(n_r, n_phi).T.ravel())
    return np.concatenate(parts)


class CaloChallengeReader(DenseReader):
    """Reads voxels; energies may also be of shape (N,)."""

    required = (VOXELS, ENERGIES)

    def __init__(self, path: Path, given: Calorimeter | None) -> None:
        super().__init__(path, given)
        try:
            self._cells = voxel_cells(self.calorimeter, path)
            self._pdg = self._particle()
        except BaseException:
            self.close()
            raise
        source = {k: v for k, v in self.provenance.source.items() if k != PDG}
        self.provenance = replace(self.provenance, source=source)

    def usual(self, path: Path) -> Calorimeter:
        """The official data set with this number of voxels."""
        shape = self.shape(VOXELS)
        name, _ = DATA_SETS.get(shape[1] if len(shape) == 2 else 0, ("", 0))
        if not name:
            raise FormatError(
                f"{path}: '{VOXELS}' has shape {shape}, the official data sets have "
                f"{', '.join(map(str, DATA_SETS))} voxels; give --detector, a YAML or binning XML"
            )
        return load_detector(name)

    def row_shapes(self, path: Path, calorimeter: Calorimeter) -> Mapping[str, tuple[Shape, ...]]:
        """Voxels as one row, one energy."""
        cylindrical_layers(calorimeter, path, "calochallenge")
        return {VOXELS: ((calorimeter.n_cells,),), ENERGIES: ((1,), ())}

    def _particle(self) -> int | None:
        """The code in our own files; in foreign ones that of the official data set."""
        code = self.attribute(PDG)
        if code is not None:
            if np.ndim(code) or not np.issubdtype(np.asarray(code).dtype, np.integer):
                raise FormatError(f"{self.path}: attribute '{PDG}' is no number; remove it")
            return int(code)
        if self.attribute(GEOMETRY) is not None:
            return None
        name, pdg = DATA_SETS.get(self.calorimeter.n_cells, ("", 0))
        return pdg if name and load_detector(name).hash == self.calorimeter.hash else None

    def columns(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        """Energy, and the particle where it is known."""
        energy = self.numbers(ENERGIES, rows).reshape(-1)
        if self._pdg is None:
            return {"energy": energy}
        return {"energy": energy, "pdg": np.full(len(energy), self._pdg)}

    def cells(self, start: int, stop: int) -> Floats:
        """Voxels in our order."""
        voxels = self.energies(VOXELS, start, stop)
        dense = np.empty_like(voxels)
        dense[:, self._cells] = voxels
        return dense


class CaloChallengeWriter(Hdf5Writer):
    """Writes voxels."""

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self._cells = voxel_cells(calorimeter, path)
        self._codes: set[int | None] = set()
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Energies and voxels."""
        return {
            ENERGIES: showers.incident.energy[:, None],
            VOXELS: showers.dense()[:, self._cells],
        }

    def append(self, showers: Showers) -> None:
        """Write a batch behind what is there."""
        super().append(showers)
        self._name_particle(showers.incident)

    def _name_particle(self, incident: Incident) -> None:
        """Keep the attribute as long as all showers have one code."""
        codes: set[int | None] = {None}
        if "pdg" in incident:
            codes = {int(code) for code in np.unique(incident["pdg"])}
        was_one, several = len(self._codes) == 1, len(self._codes | codes) > 1
        if several and was_one and len(codes) == 1:  # losses() sees single batches only
            warnings.warn(f"{self.path}: {ONE_CODE}", CaloforgeWarning, stacklevel=3)
        self._codes |= codes
        if several:
            self._file.attrs.pop(PDG, None)
        elif None not in self._codes:
            (self._file.attrs[PDG],) = self._codes


class CaloChallenge(Source):
    """The layout of the Fast Calorimeter Simulation Challenge 2022."""

    name: ClassVar[str] = "calochallenge"
    description = "CaloChallenge HDF5: showers (N, voxels) and incident_energies (N,1), MeV"

    def matches(self, path: Path) -> bool:
        """``incident_energies`` and ``showers``."""
        return holds(path, {ENERGIES, VOXELS}, {"incident_energy"})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> CaloChallengeReader:
        """Open for reading; the official data set by its voxels unless a calorimeter is given."""
        return CaloChallengeReader(path, calorimeter)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> CaloChallengeWriter:
        """Write voxels, of a calorimeter whose layers are all cylindrical."""
        return CaloChallengeWriter(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """Directions and positions; particle codes that differ."""
        lost = not_carried(self.name, incident, ("theta", "phi", "x", "y", "z"))
        if "pdg" in incident and len(np.unique(incident["pdg"])) > 1:
            lost.append(ONE_CODE)
        return lost
