"""Every shower's barycentre moves to the central cell."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.showers import Incident, Showers
from caloforge.transform.base import Step
from caloforge.transform.hits import count_outside, keep_hits
from caloforge.transform.tally import Tally


class Recentre(Step):
    """Shift every shower by whole cells, so that its energy barycentre lies in the central cell.

    The distance is that from the middle of the first layer's grid to the barycentre (x, y) of the
    whole shower. Every layer is shifted by the whole number of its own cells nearest to that
    distance: where all cells are equal, the barycentre ends within half a cell of the middle, in
    the central cell (with an even number of cells: around the middle of the four central ones);
    where they differ, within half of the largest cell. Energy that is shifted out of a layer's
    grid is counted and left out, which moves the barycentre again.

    The columns x and y of the incident table, where they are there, move with the first layer:
    they stay on the particle's line in the new frame. An empty shower is not shifted.
    """

    kind: ClassVar[str] = "recentre"

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The same cells.

        Raises:
            GeometryError: a layer is not cartesian.
        """
        _grids(before)
        return before

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The shifted showers.

        Raises:
            GeometryError: a layer is not cartesian.
        """
        grids = _grids(showers.calorimeter)
        tally.enter(showers)
        shower = showers.hit_shower
        layer, i, j = _coordinates(showers.calorimeter)
        shape = np.array([grid.shape for grid in grids])
        size = np.array([(grid.dx, grid.dy) for grid in grids])
        kept = np.ones(showers.n_hits, dtype=np.bool_)
        cell = np.zeros(showers.n_hits, dtype=np.int64)
        key = shower * len(grids) + layer[showers.cell]
        moved: dict[str, NDArray[np.float64]] = {}
        for axis, (name, index) in enumerate({"x": i, "y": j}.items()):
            distance = _barycentre(showers, shower, axis) - grids[0].centre[axis]
            cells = np.floor(distance[:, None] / size[:, axis] + 0.5).astype(np.int64)
            new = index[showers.cell] - cells.ravel()[key]
            kept &= (new >= 0) & (new < shape[:, axis][layer][showers.cell])
            cell += new * (shape[:, 1][layer][showers.cell] if axis == 0 else 1)
            moved[name] = cells[:, 0] * size[0, axis]
        cell += showers.calorimeter.layer_offset[layer][showers.cell]
        tally.add(0.0, *count_outside(showers, kept))
        return keep_hits(showers, kept, cell=cell, incident=_shifted(showers.incident, moved))


def _grids(calorimeter: Calorimeter) -> list[CartesianGrid]:
    grids = []
    for number, layer in enumerate(calorimeter.layers):
        if not isinstance(layer.segmentation, CartesianGrid):
            raise GeometryError(
                f"recentre: layer {number} of '{calorimeter.name}' is not cartesian; "
                "leave recentre out"
            )
        grids.append(layer.segmentation)
    return grids


def _coordinates(
    calorimeter: Calorimeter,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return calorimeter.cell_coordinates(np.arange(calorimeter.n_cells))


def _barycentre(showers: Showers, shower: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """Energy-weighted mean x or y (mm) of every shower, the first grid's middle when empty."""
    grid = showers.calorimeter.layers[0].segmentation
    assert isinstance(grid, CartesianGrid)
    position = showers.calorimeter.cell_positions[:, axis][showers.cell]
    total = np.bincount(shower, weights=showers.energy, minlength=len(showers))
    moment = np.bincount(shower, weights=showers.energy * position, minlength=len(showers))
    middle = np.full(len(showers), grid.centre[axis])
    np.divide(moment, total, out=middle, where=total > 0)
    return middle


def _shifted(incident: Incident, moved: dict[str, NDArray[np.float64]]) -> Incident:
    columns = incident.columns
    for name, distance in moved.items():
        if name in columns:
            columns[name] = columns[name] - distance
    return Incident(columns)
