"""Profiles: sums over a sample, from which mean shapes and their errors follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.observables import Floats, cell_axis
from caloforge.showers import Showers

LATERAL = ("radius", "x", "y")
MAX_BINS = 100
MAX_RADIAL_BINS = 30


def cell_sizes(calorimeter: Calorimeter, axis: str) -> list[float]:
    """Cell size (mm) along 'x' or 'y' in every layer, else the smaller one; rings: the thinnest."""
    sizes = []
    for layer in calorimeter.layers:
        grid = layer.segmentation
        if isinstance(grid, CartesianGrid):
            sizes.append({"x": grid.dx, "y": grid.dy}.get(axis, min(grid.dx, grid.dy)))
        else:
            sizes.append(float(np.min(np.diff(grid.r_edges))))
    return sizes


def extent(calorimeter: Calorimeter, axis: str) -> tuple[float, float]:
    """Outermost cell borders (mm) along x or y, over all layers."""
    low, high = [], []
    for layer in calorimeter.layers:
        grid = layer.segmentation
        if isinstance(grid, CartesianGrid):
            middle = grid.centre[0 if axis == "x" else 1]
            half = grid.nx * grid.dx / 2 if axis == "x" else grid.ny * grid.dy / 2
        else:
            middle, half = 0.0, grid.r_edges[-1]
        low.append(middle - half)
        high.append(middle + half)
    return min(low), max(high)


def lateral_edges(calorimeter: Calorimeter, axis: str) -> Floats:
    """Bin edges (mm) of the lateral profile along 'radius', 'x' or 'y'.

    Bins as wide as the cells of the coarsest layer, so that every layer fills every bin, over the
    whole calorimeter; at most 100 (radius: 30).
    """
    if axis == "radius":
        top = float(cell_axis(calorimeter, "r").max())
        step = max(*cell_sizes(calorimeter, "r"), top / MAX_RADIAL_BINS)
        return np.arange(int(np.floor(top / step + 1e-9)) + 2, dtype=np.float64) * step
    low, high = extent(calorimeter, axis)
    bins = int(np.clip(round((high - low) / max(cell_sizes(calorimeter, axis))), 1, MAX_BINS))
    return np.linspace(low, high, bins + 1)


def _cell_bins(calorimeter: Calorimeter, axis: str, edges: Floats) -> NDArray[np.int64]:
    values = cell_axis(calorimeter, "r" if axis == "radius" else axis)
    found = np.searchsorted(edges, values + 1e-9, side="right") - 1
    return np.clip(found, 0, len(edges) - 2)


@dataclass(frozen=True)
class Sum:
    """Sum and sum of squares over showers of a vector of energies (MeV)."""

    n: int
    first: Floats
    second: Floats

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.n + other.n, self.first + other.first, self.second + other.second)

    @property
    def mean(self) -> Floats:
        """Mean per shower (MeV)."""
        return np.asarray(self.first / max(self.n, 1))

    @property
    def sigma(self) -> Floats:
        """Standard deviation from shower to shower (MeV)."""
        n = max(self.n, 1)
        return np.asarray(np.sqrt(np.clip(self.second / n - self.mean**2, 0.0, None)))

    @property
    def error(self) -> Floats:
        """Statistical error of the mean (MeV)."""
        return np.asarray(self.sigma / np.sqrt(max(self.n - 1, 1)))


@dataclass(frozen=True)
class Profiles:
    """Accumulated shapes of a sample: energies per layer, lateral bin and cell.

    ``longitudinal``: per layer; ``lateral``: per bin of 'radius' (distance from the calorimeter
    axis), 'x' and 'y'; ``cells``: per cell. Every one is a :class:`Sum` over showers.
    """

    longitudinal: Sum
    lateral: Mapping[str, Sum]
    cells: Sum

    def __add__(self, other: Profiles) -> Profiles:
        return Profiles(
            self.longitudinal + other.longitudinal,
            {axis: total + other.lateral[axis] for axis, total in self.lateral.items()},
            self.cells + other.cells,
        )


@lru_cache(maxsize=8)
def _bin_table(calorimeter: Calorimeter) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Bin of every cell in each profile, numbered in one row, and where each profile starts."""
    columns, starts = [calorimeter.cell_layer], [0, calorimeter.n_layers]
    for axis in LATERAL:
        edges = lateral_edges(calorimeter, axis)
        columns.append(starts[-1] + _cell_bins(calorimeter, axis, edges))
        starts.append(starts[-1] + len(edges) - 1)
    return np.column_stack(columns).astype(np.int32), np.array(starts)


def shower_profiles(showers: Showers, names: Sequence[str]) -> dict[str, Floats]:
    """The profile of every single shower (MeV): arrays (n, bins) of 'longitudinal', 'x', ..."""
    bins, starts = _bin_table(showers.calorimeter)
    n, result = len(showers), {}
    for name in names:
        column = ("longitudinal", *LATERAL).index(name)
        width = int(starts[column + 1] - starts[column])
        keys = showers.hit_shower * width + (bins[showers.cell, column] - starts[column])
        flat = np.bincount(keys, weights=showers.energy, minlength=n * width)
        result[name] = flat.reshape(n, width).astype(np.float64)
    return result


def profiles(showers: Showers) -> Profiles:
    """The accumulated shapes of a sample (add those of its parts to read it in batches)."""
    from caloforge.validate.profile_kernels import add_cells, add_profiles

    calorimeter, n = showers.calorimeter, len(showers)
    bins, starts = _bin_table(calorimeter)
    first, second = np.zeros(starts[-1]), np.zeros(starts[-1])
    add_profiles(showers.offset.astype(np.int64), showers.cell, showers.energy, bins, first, second)
    cells = np.zeros(calorimeter.n_cells), np.zeros(calorimeter.n_cells)
    add_cells(showers.cell, showers.energy, *cells)
    parts = [Sum(n, first[a:b], second[a:b]) for a, b in pairwise(starts)]
    return Profiles(
        longitudinal=parts[0],
        lateral=dict(zip(LATERAL, parts[1:], strict=True)),
        cells=Sum(n, *cells),
    )


def cell_spectrum(showers: Showers, edges: Floats) -> Floats:
    """Number of hits per bin of the cell energy (MeV); the first and last entries are the hits
    below and above the range, so the shape is (bins + 2,) and nothing is lost."""
    from caloforge.validate.profile_kernels import count_in_bins

    counts = np.zeros(len(edges) + 1)
    count_in_bins(showers.energy, np.asarray(edges, dtype=np.float64), counts)
    return counts


def relative_difference(reference: Sum, generated: Sum) -> list[float | None]:
    """generated / reference - 1 of the mean energies, bin by bin; None where the reference is 0."""
    return [
        float(g / r - 1.0) if r > 0 else None
        for r, g in zip(reference.mean, generated.mean, strict=True)
    ]


def profile_difference(reference: Sum, generated: Sum) -> float | None:
    """Energy-weighted mean |relative difference| of two profiles, sum |g - r| / sum r, no unit.

    The weights are the reference's mean energies r. None where the reference holds no energy.
    """
    total = float(reference.mean.sum())
    if total <= 0:
        return None
    return float(np.abs(generated.mean - reference.mean).sum() / total)
