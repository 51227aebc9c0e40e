"""Where the cells of a model lie in the detector, when it is moved by whole cells."""

from __future__ import annotations

from math import lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.compiled import compiled
from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.showers import Showers

MICROMETRES = 1000.0
"""Cell sizes are compared in whole micrometres."""

ALIKE = 1e-6
"""Part of a cell, or mm of depth, by which two calorimeters may differ."""


class Layers(NamedTuple):
    """Of every layer of the model: cells in a step of :attr:`Overlay.pitch` (L, 2), shape of the
    detector's layer (L, 2), its first cell (L,).
    """

    step: NDArray[np.int64]
    shape: NDArray[np.int64]
    offset: NDArray[np.int64]


class Overlay:
    """The model's calorimeter laid on the front layers of a detector.

    Args:
        model: what the model fills.
        detector: what is simulated.

    Raises:
        GeometryError: the cells or the materials are not the same.
    """

    def __init__(self, model: Calorimeter, detector: Calorimeter) -> None:
        _check_material(model, detector)
        grids = [_grids(model, detector, number) for number in range(model.n_layers)]
        self.pitch = _common(model, [own for own, _ in grids])
        """Smallest steps (mm) in x and y that are whole cells in all layers."""
        layer, i, j = model.cell_coordinates(np.arange(model.n_cells))
        begin = np.array([_begin(model, own, other) for own, other in grids])
        size = np.array([[own.dx, own.dy] for own, _ in grids])
        self._layer = layer
        self._place = np.stack([i, j], axis=1) + begin[layer]
        """(n_cells, 2): the place in the detector's layer, when nothing is moved."""
        self._layers = Layers(
            np.rint(np.array(self.pitch) / size).astype(np.int64),
            np.array([other.shape for _, other in grids]),
            detector.layer_offset[: model.n_layers],
        )

    def cells(self, showers: Showers, moved: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cells of the detector (hits,), -1 where it has none.

        Args:
            showers: n showers of the model.
            moved: (n, 2) by how many :attr:`pitch` in x and y.
        """
        out = np.empty(len(showers.cell), np.int64)
        offset = showers.offset.astype(np.int64)
        _move(offset, showers.cell, moved, self._layer, self._place, self._layers, out)
        return out


@compiled
def _move(
    offset: NDArray[np.int64],
    cell: NDArray[np.uint32],
    moved: NDArray[np.int64],
    layer: NDArray[np.int64],
    place: NDArray[np.int64],
    layers: Layers,
    out: NDArray[np.int64],
) -> None:
    for shower in range(len(moved)):
        for hit in range(offset[shower], offset[shower + 1]):
            number = layer[cell[hit]]
            i = place[cell[hit], 0] + moved[shower, 0] * layers.step[number, 0]
            j = place[cell[hit], 1] + moved[shower, 1] * layers.step[number, 1]
            across, up = layers.shape[number, 0], layers.shape[number, 1]
            inside = 0 <= i < across and 0 <= j < up
            out[hit] = layers.offset[number] + i * up + j if inside else -1


def _check_material(model: Calorimeter, detector: Calorimeter) -> None:
    """Refuse what a model of planar layers cannot stand for."""
    if model.inner_radius is not None or detector.inner_radius is not None:
        raise GeometryError(
            f"--fast: {detector.name} or the model's {model.name} is concentric, its mesh goes "
            "with the particle; models take over in planar calorimeters"
        )
    front = detector.stacks[: len(model.stacks)]
    if model.n_layers > detector.n_layers or (model.stacks and model.stacks != front):
        raise GeometryError(
            f"--fast: the model was trained in {model.name}, whose layers are not the front layers "
            f"of {detector.name}; take a model of this detector"
        )


def _grids(model: Calorimeter, detector: Calorimeter, number: int) -> tuple[CartesianGrid, ...]:
    """The two grids of a layer."""
    own, other = model.layers[number], detector.layers[number]
    pair = own.segmentation, other.segmentation
    alike = abs(own.z - other.z) < ALIKE and abs(own.thickness - other.thickness) < ALIKE
    grids = tuple(grid for grid in pair if isinstance(grid, CartesianGrid))
    if alike and len(grids) == 2 and (grids[0].dx, grids[0].dy) == (grids[1].dx, grids[1].dy):
        return grids
    raise GeometryError(
        f"--fast: layer {number} of the model's {model.name} has other cells than that of "
        f"{detector.name}; take a model of this detector"
    )


def _begin(model: Calorimeter, own: CartesianGrid, other: CartesianGrid) -> tuple[int, int]:
    """Place of the model's first cell in the detector's layer; may be negative."""
    begin = [
        (mine[0] - theirs[0]) / size
        for mine, theirs, size in zip(own.axes(), other.axes(), (own.dx, own.dy), strict=True)
    ]
    whole = np.rint(begin)
    if np.abs(begin - whole).max() > ALIKE:
        raise GeometryError(
            f"--fast: the cells of the model's {model.name} lie between those of the detector; "
            "take a window with as many cells more or less on both sides"
        )
    return int(whole[0]), int(whole[1])


def _common(model: Calorimeter, grids: list[CartesianGrid]) -> tuple[float, float]:
    """Least common multiples of the cell sizes."""
    sizes = [[round(MICROMETRES * size) for size in (grid.dx, grid.dy)] for grid in grids]
    if min(map(min, sizes)) < 1:
        raise GeometryError(f"--fast: {model.name} has cells of less than a micrometre")
    x, y = (lcm(*column) for column in zip(*sizes, strict=True))
    return x / MICROMETRES, y / MICROMETRES
