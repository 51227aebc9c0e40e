"""Which share of every cell of one grid lies in which cell of another.

Exact for two cartesian grids and for two cylindrical ones. Between the two kinds every source cell
is sampled in points of equal area, at least 128 x 128 and 16 per target cell along each axis:
between lcd-ecal and the par04 meshes a share is then right to 0.003 (0.0006 rms), and no energy is
lost or made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from caloforge.geometry import CartesianGrid, CylindricalGrid
from caloforge.geometry.segmentation import Floats, Segmentation

SNAP = 1e-7
"""Edges closer than this, in units of the source cell, are the same edge."""

POINTS = (128, 1024)
"""At least and at most so many sample points along an axis of a source cell ..."""

AT_ONCE = 1 << 22
"""... and at most so many points in a row of cells, which bounds the memory."""

PER_TARGET = 16
"""Sample points per smallest target cell."""


def shares_1d(source: Floats, target: Floats, power: int = 1) -> Floats:
    """Share of every source interval in every target interval, shape (n_source, n_target).

    Args:
        source: (n_source, 2) low and high ends.
        target: (n_target, 2) low and high ends.
        power: content grows with this power of the coordinate: 2 for rings, whose ends are radii.
    """
    source, target = (ends**power for ends in _joined(source, target))
    low = np.maximum(source[:, None, 0], target[None, :, 0])
    high = np.minimum(source[:, None, 1], target[None, :, 1])
    width = source[:, 1] - source[:, 0]
    return np.asarray(np.clip(high - low, 0.0, None) / width[:, None])


def _joined(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Both with ends that are equal but for rounding made equal, so that whole cells stay whole."""
    ends = np.sort(np.concatenate([source, target]), axis=None)
    apart = np.diff(ends, prepend=-np.inf) > SNAP * np.diff(source, axis=1).min()
    first = ends[apart][np.cumsum(apart) - 1]
    return first[np.searchsorted(ends, source)], first[np.searchsorted(ends, target)]


def shares_2d(source: Segmentation, target: Segmentation) -> Any:
    """Share of every source cell's area in every target cell.

    Returns:
        Sparse COO matrix (source cells, target cells); a row's sum is the share inside the target.
    """
    if isinstance(source, CartesianGrid) and isinstance(target, CartesianGrid):
        ends, power = (_sides(source), _sides(target)), 1
    elif isinstance(source, CylindricalGrid) and isinstance(target, CylindricalGrid):
        ends, power = (_rings(source), _rings(target)), 2
    else:
        return _sampled(source, target)
    (a, b), (c, d) = ends
    return sp.kron(shares_1d(a, c, power), shares_1d(b, d), format="coo")


def _intervals(edges: NDArray[Any]) -> Floats:
    return np.column_stack([edges[:-1], edges[1:]])


def _sides(grid: CartesianGrid) -> tuple[Floats, Floats]:
    """Ends of the cells along x and y (mm)."""
    x = (np.arange(grid.nx + 1) - grid.nx / 2) * grid.dx + grid.centre[0]
    y = (np.arange(grid.ny + 1) - grid.ny / 2) * grid.dy + grid.centre[1]
    return _intervals(x), _intervals(y)


def _rings(grid: CylindricalGrid) -> tuple[Floats, Floats]:
    """Ends of the rings in r (mm) and of the sectors in turns."""
    edges = np.asarray(grid.r_edges, dtype=np.float64)
    return _intervals(edges), _intervals(np.arange(grid.n_phi + 1) / grid.n_phi)


def _sampled(source: Segmentation, target: Segmentation) -> Any:
    """Shares from points spread evenly over the area of every source cell."""
    n_i, n_j = source.shape
    n_target = int(np.prod(target.shape))
    rows, columns, weights = [], [], []
    for i in range(n_i):
        x, y = _points(source, i, _finest(target))
        local = target.locate(x.ravel(), y.ravel()).reshape(x.shape)
        j = np.broadcast_to(np.arange(n_j)[:, None], x.shape)
        inside = local >= 0
        key, count = np.unique(j[inside] * n_target + local[inside], return_counts=True)
        rows.append(i * n_j + key // n_target)
        columns.append(key % n_target)
        weights.append(count / x.shape[1])
    where = (np.concatenate(rows), np.concatenate(columns))
    return sp.coo_matrix((np.concatenate(weights), where), shape=(n_i * n_j, n_target))


def _finest(grid: Segmentation) -> float:
    """Smallest cell size (mm): a side, or the width of a ring."""
    if isinstance(grid, CartesianGrid):
        return min(grid.dx, grid.dy)
    return float(np.diff(grid.r_edges).min())


def _points(grid: Segmentation, i: int, finest: float) -> tuple[Floats, Floats]:
    """x and y (mm) of points of equal area in the cells (i, 0), (i, 1) ...: shape (n_j, points)."""
    if isinstance(grid, CartesianGrid):
        x, y = _sides(grid)
        return _mesh(
            x[i], y, *(_points_along(size, finest, grid.ny) for size in (grid.dx, grid.dy))
        )
    r, turn = _rings(grid)
    arc = 2 * np.pi * r[i, 1] / grid.n_phi
    numbers = (_points_along(size, finest, grid.n_phi) for size in (r[i, 1] - r[i, 0], arc))
    square, turns = _mesh(r[i] ** 2, turn, *numbers)
    radius, phi = np.sqrt(square), 2 * np.pi * turns - np.pi
    return radius * np.cos(phi), radius * np.sin(phi)


def _points_along(size: float, finest: float, cells: int) -> int:
    least, most = POINTS
    most = int(np.clip((AT_ONCE / cells) ** 0.5, least, most))
    return int(np.clip(np.ceil(PER_TARGET * size / finest), least, most))


def _mesh(a: Floats, b: Floats, n_a: int, n_b: int) -> tuple[Floats, Floats]:
    """``n_a`` x ``n_b`` points in interval ``a`` (2,) times every interval of ``b`` (n, 2)."""
    p, q = ((np.arange(number) + 0.5) / number for number in (n_a, n_b))
    along_a = (a[0] + (a[1] - a[0]) * p)[None, :, None]
    along_b = (b[:, :1] + (b[:, 1:] - b[:, :1]) * q)[:, None, :]
    grid_a, grid_b = np.broadcast_arrays(along_a, along_b)
    return grid_a.reshape(len(b), -1), grid_b.reshape(len(b), -1)
