"""Geant4's Par04 example: HDF5 ``showers`` (N, rho, phi, z) in MeV, or the ROOT file it writes.

``incident_energy`` (N,) in MeV; optional ``incident_theta`` and ``incident_phi`` (rad). Theta is
the angle to the beam axis, which is our x axis: the same number. Phi is carried as it is: in Par04
it is the azimuth around the beam, which a barrel does not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from caloforge.errors import FormatError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Provenance, Showers
from caloforge.sources.base import ShowerWriter, Source, SourceReader
from caloforge.sources.dense import DenseReader, Floats, Shape, cylindrical_layers
from caloforge.sources.hdf5 import Hdf5Writer, holds
from caloforge.sources.incident_losses import not_carried
from caloforge.sources.par04_root import Par04RootReader, Par04RootWriter, is_par04_root
from caloforge.sources.root_files import is_root

ENERGY = "incident_energy"
MESH = "showers"
ANGLES = {"theta": "incident_theta", "phi": "incident_phi"}

MESHES = {(9, 16, 45): "par04-siw", (18, 50, 45): "par04-siw-fine"}
"""The usual calorimeters by their cells along (rho, phi, z)."""


def mesh_of(calorimeter: Calorimeter, path: Path) -> tuple[int, int, int]:
    """Cells along (z, rho, phi) of a calorimeter with the same rings in every layer.

    Raises:
        FormatError: the layers differ or are not cylindrical.
    """
    cylindrical_layers(calorimeter, path, "par04")
    if calorimeter.grid_shape is None:
        raise FormatError(
            f"{path}: par04 needs the same rings in every layer, '{calorimeter.name}' has "
            "different ones; write another format with --to"
        )
    return calorimeter.grid_shape


class Par04Reader(DenseReader):
    """Reads meshes in HDF5."""

    required = (MESH, ENERGY)
    optional = tuple(ANGLES.values())

    def usual(self, path: Path) -> Calorimeter:
        """The low or high granularity mesh of the example."""
        shape = self.shape(MESH)
        try:
            return load_detector(MESHES[shape[1], shape[2], shape[3]])
        except (KeyError, IndexError):
            raise FormatError(
                f"{path}: '{MESH}' has shape {shape}, the usual meshes are "
                f"{' and '.join(map(str, MESHES))}; give --detector"
            ) from None

    def row_shapes(self, path: Path, calorimeter: Calorimeter) -> Mapping[str, tuple[Shape, ...]]:
        """A mesh, one energy, one angle."""
        n_z, n_rho, n_phi = mesh_of(calorimeter, path)
        scalar: tuple[Shape, ...] = ((), (1,))
        return {MESH: ((n_rho, n_phi, n_z),), ENERGY: scalar} | dict.fromkeys(self.optional, scalar)

    def columns(self, rows: slice) -> Mapping[str, NDArray[Any]]:
        """Energy, and the angles that are there."""
        names = {"energy": ENERGY} | {k: v for k, v in ANGLES.items() if self.has(v)}
        return {key: self.numbers(name, rows).reshape(-1) for key, name in names.items()}

    def cells(self, start: int, stop: int) -> Floats:
        """Meshes, the layers first."""
        mesh = self.energies(MESH, start, stop)
        return mesh.transpose(0, 3, 1, 2).reshape(len(mesh), -1)


class Par04Writer(Hdf5Writer):
    """Writes meshes in HDF5."""

    def __init__(self, path: Path, calorimeter: Calorimeter, provenance: Provenance) -> None:
        self._shape = mesh_of(calorimeter, path)
        super().__init__(path, calorimeter, provenance)

    def content(self, showers: Showers) -> Mapping[str, NDArray[Any]]:
        """Meshes, energies, angles."""
        mesh = showers.dense().reshape(-1, *self._shape).transpose(0, 2, 3, 1)
        incident = showers.incident
        angles = {name: incident[key] for key, name in ANGLES.items() if key in incident}
        return {ENERGY: incident.energy, MESH: mesh, **angles}


class Par04(Source):
    """Geant4's Par04 example and what its converter makes of it."""

    name = "par04"
    description = "Geant4 Par04: HDF5 showers (N,rho,phi,z) in MeV, or its ROOT file"
    suffixes = (".h5", ".hdf5", ".root")

    def matches(self, path: Path) -> bool:
        """``incident_energy`` and ``showers``, or the trees of the example."""
        if is_root(path):
            return is_par04_root(path)
        return holds(path, {ENERGY, MESH}, {"incident_energies"})

    def open(
        self, path: Path, calorimeter: Calorimeter | None = None, options: Any = None
    ) -> SourceReader:
        """Open for reading; the mesh by its shape unless a calorimeter is given."""
        if is_root(path):
            return Par04RootReader(path, calorimeter, mesh_of)
        return Par04Reader(path, calorimeter)

    def create(
        self, path: Path, calorimeter: Calorimeter, provenance: Provenance
    ) -> AbstractContextManager[ShowerWriter]:
        """Write ROOT where the name ends in ``.root``, else HDF5."""
        if path.suffix.lower() == ".root":
            return Par04RootWriter(path, calorimeter, provenance, mesh_of)
        return Par04Writer(path, calorimeter, provenance)

    def losses(self, incident: Incident) -> list[str]:
        """The particle and its position."""
        return not_carried(self.name, incident, ("pdg", "x", "y", "z"))
