"""The matrix that carries energies from the cells of one calorimeter to those of another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.geometry.segmentation import Segmentation
from caloforge.transform.overlap import shares_1d, shares_2d

LayerRule = Literal["depth", "match"]

LARGEST = 50_000_000
"""More entries than this (about 0.6 GB) are refused."""

ROUNDING = 1e-9
"""A cell that lies outside by less than this share lies inside."""


@dataclass(frozen=True)
class Shares:
    """How source cells are shared out: rows are source cells, columns target cells.

    Attributes:
        matrix: sparse CSR (source cells, target cells) of shares; ``energies @ matrix``.
        outside: (source cells,) share of every source cell that lies outside all target cells.
    """

    matrix: Any
    outside: NDArray[np.float64]


@lru_cache(maxsize=4)
def cell_shares(source: Calorimeter, target: Calorimeter, layers: LayerRule) -> Shares:
    """Shares of every source cell among the target cells; the last few are remembered.

    Raises:
        GeometryError: the layers do not match, the two have no volume in common, or the matrix
            would be too large.
    """
    depth = layer_shares(source, target, layers)
    areas: dict[tuple[Segmentation, Segmentation], Any] = {}
    blocks: list[tuple[Any, Any, Any]] = []
    entries = 0
    for k, m in np.argwhere(depth > 0):
        grids = source.layers[k].segmentation, target.layers[m].segmentation
        if grids not in areas:
            areas[grids] = shares_2d(*grids)
        area = areas[grids]
        entries += area.nnz
        if entries > LARGEST:
            raise GeometryError(
                f"rebin: sharing the cells of '{source.name}' among those of '{target.name}' takes "
                f"more than {LARGEST} numbers; rebin to coarser cells"
            )
        row, column = area.row + source.layer_offset[k], area.col + target.layer_offset[m]
        blocks.append((row, column, area.data * depth[k, m]))
    if entries == 0:
        raise GeometryError(
            f"rebin: no cell of '{source.name}' lies in a cell of '{target.name}'; "
            "choose a calorimeter in the same place"
        )
    row, column, share = (np.concatenate(part) for part in zip(*blocks, strict=True))
    matrix = sp.csr_matrix((share, (row, column)), shape=(source.n_cells, target.n_cells))
    outside = 1.0 - np.asarray(matrix.sum(axis=1)).ravel()
    return Shares(matrix, np.where(outside < ROUNDING, 0.0, outside))


def layer_shares(
    source: Calorimeter, target: Calorimeter, layers: LayerRule
) -> NDArray[np.float64]:
    """Share of every source layer's depth in every target layer: (source, target layers).

    Raises:
        GeometryError: ``match``, and the numbers of layers do not go into each other.
    """
    if layers == "depth":
        return shares_1d(_depths(source), _depths(target))
    merged, rest = divmod(source.n_layers, target.n_layers)
    if rest or not merged:
        raise GeometryError(
            f"rebin: the {source.n_layers} layers of '{source.name}' cannot be matched to the "
            f"{target.n_layers} of '{target.name}', which must be as many or a whole fraction; "
            "share by depth instead"
        )
    return np.repeat(np.eye(target.n_layers), merged, axis=0)


def _depths(calorimeter: Calorimeter) -> NDArray[np.float64]:
    return np.array([(layer.z, layer.z + layer.thickness) for layer in calorimeter.layers])
