"""Whether a calorimeter can be simulated at all: asked before any work, by every simulator."""

from __future__ import annotations

import numpy as np

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CylindricalGrid, slabs_of, width

LARGEST_SAG = 0.5
"""mm by which the first ring of a concentric mesh may lie before the front face, on average."""


def check_readout(calorimeter: Calorimeter) -> None:
    """Refuse a calorimeter without materials, or whose cells and materials do not fit together.

    Raises:
        GeometryError: naming the calorimeter and what to change.
    """
    slabs_of(calorimeter)
    width(calorimeter)
    if calorimeter.inner_radius is not None:
        mesh_of(calorimeter)


def mesh_of(calorimeter: Calorimeter) -> CylindricalGrid:
    """The rings and sectors that every layer of a concentric calorimeter shares.

    Raises:
        GeometryError: the layers are not cylindrical, not alike, or too coarse.
    """
    grid = calorimeter.layers[0].segmentation
    alike = all(layer.segmentation == grid for layer in calorimeter.layers)
    if not (alike and isinstance(grid, CylindricalGrid) and grid.r_edges[0] == 0.0):
        raise GeometryError(
            f"{calorimeter.name}: the layers of a concentric calorimeter need the same rings from "
            "r = 0; change the segmentation or remove inner_radius"
        )
    assert calorimeter.inner_radius is not None
    widest = float(np.sqrt(8 * calorimeter.inner_radius * LARGEST_SAG))
    if grid.r_edges[1] > widest:
        raise GeometryError(
            f"{calorimeter.name}: a first ring of {grid.r_edges[1]:g} mm bends away from the "
            f"particle; make it at most {widest:.0f} mm wide, or remove inner_radius"
        )
    return grid
