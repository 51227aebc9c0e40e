"""The mesh of Geant4's Par04 example: rings, sectors and slices around the particle's line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CylindricalGrid

HINT = "choose a mesh to share the showers among with --rebin par04-siw-fine or par04-siw"


@dataclass(frozen=True)
class Mesh:
    """Numbers of cells along (rho, phi, z), and their sizes (mm) along rho and z."""

    n_rho: int
    n_phi: int
    n_z: int
    d_rho: float
    d_z: float

    @property
    def n_cells(self) -> int:
        """Cells of the mesh."""
        return self.n_rho * self.n_phi * self.n_z


def mesh_of(calorimeter: Calorimeter) -> Mesh:
    """The mesh that a calorimeter is.

    Raises:
        GeometryError: its cells are no such mesh; says why.
    """
    first = calorimeter.layers[0]
    grid = first.segmentation
    if not isinstance(grid, CylindricalGrid):
        raise GeometryError(
            f"'{calorimeter.name}' has {grid.kind} cells, Par04 deposits energy in rings and "
            f"sectors around the particle; {HINT}"
        )
    if calorimeter.grid_shape is None:
        raise GeometryError(
            f"'{calorimeter.name}' has different rings or sectors in some of its layers, Par04 the "
            f"same in all; {HINT}"
        )
    widths, slices = np.diff(grid.r_edges), [layer.thickness for layer in calorimeter.layers]
    fronts = np.array([layer.z for layer in calorimeter.layers])
    steps = np.arange(len(fronts)) * slices[0]
    if grid.r_edges[0] != 0 or not np.allclose(widths, widths[0]):
        raise GeometryError(
            f"'{calorimeter.name}' has rings of several widths, Par04 of one; {HINT}"
        )
    if not (np.allclose(slices, slices[0]) and np.allclose(fronts, steps, atol=1e-6)):
        raise GeometryError(
            f"'{calorimeter.name}' has layers of several depths, Par04 of one, from the front face "
            f"on; {HINT}"
        )
    return Mesh(*grid.shape, len(slices), float(widths[0]), float(slices[0]))
