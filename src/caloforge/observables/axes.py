"""Where the cells are, and which layers measure what."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid

Floats = NDArray[np.float64]
TINY = 1e-16
AXES = ("x", "y", "r")


def cell_axis(calorimeter: Calorimeter, axis: str) -> Floats:
    """Coordinate (mm) of every cell centre along ``axis`` ('x', 'y', 'z' or 'r').

    ``r`` is the ring's middle for a cylindrical layer (also when the ring is not cut in phi,
    where x = y = 0) and sqrt(x^2 + y^2) for a cartesian one.
    """
    positions = calorimeter.cell_positions
    if axis != "r":
        return np.asarray(positions[:, "xyz".index(axis)], dtype=np.float64)
    radius = np.hypot(positions[:, 0], positions[:, 1])
    for number, layer in enumerate(calorimeter.layers):
        if isinstance(layer.segmentation, CylindricalGrid):
            rings, _ = layer.segmentation.axes()
            start, stop = calorimeter.layer_offset[number : number + 2]
            radius[start:stop] = np.repeat(rings, layer.segmentation.n_phi)
    return radius


def measuring_layers(calorimeter: Calorimeter, axis: str) -> NDArray[np.bool_]:
    """Layers whose cells differ along ``axis``: only there a centre or width says anything.

    x and y: cartesian layers with more than one cell along the axis, cylindrical ones that are
    cut in phi. r: cylindrical layers with more than one ring.
    """
    flags = []
    for layer in calorimeter.layers:
        grid = layer.segmentation
        if isinstance(grid, CartesianGrid):
            flags.append(axis != "r" and {"x": grid.nx, "y": grid.ny}[axis] > 1)
        else:
            flags.append(grid.n_phi > 1 if axis != "r" else len(grid.r_edges) > 2)
    return np.asarray(flags, dtype=np.bool_)


class CellTable(NamedTuple):
    """What the loops over hits look up: per cell its layer and place, per layer its shape.

    ``place`` holds x, y, z, r of every cell (mm), shape (n_cells, 4); ``uncut`` marks layers of
    whole rings (not cut in phi), whose cells have a radius and no direction.
    """

    layer: NDArray[np.int64]
    place: Floats
    cells: NDArray[np.int64]
    uncut: NDArray[np.bool_]


@lru_cache(maxsize=8)
def cell_table(calorimeter: Calorimeter) -> CellTable:
    """The look-up table of a calorimeter, kept for the last few."""
    return CellTable(
        np.ascontiguousarray(calorimeter.cell_layer, dtype=np.int64),
        np.column_stack([cell_axis(calorimeter, axis) for axis in "xyzr"]),
        np.diff(calorimeter.layer_offset).astype(np.int64),
        np.array(
            [
                isinstance(layer.segmentation, CylindricalGrid) and layer.segmentation.n_phi == 1
                for layer in calorimeter.layers
            ]
        ),
    )


def layer_middles(calorimeter: Calorimeter) -> Floats:
    """Middle of every layer (mm from the front face): shape (n_layers,)."""
    return np.array([layer.z + layer.thickness / 2 for layer in calorimeter.layers])
