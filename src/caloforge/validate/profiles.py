"""Profiles: sums over a sample, from which mean shapes and their errors follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.showers import Showers
from caloforge.validate.observables import Floats, cell_axis

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


def _per_shower(showers: Showers, bins: NDArray[np.int64], n_bins: int) -> Sum:
    n = len(showers)
    keys = showers.hit_shower * n_bins + bins[showers.cell]
    table = np.bincount(keys, weights=showers.energy, minlength=n * n_bins).reshape(n, n_bins)
    return Sum(n, table.sum(axis=0), (table**2).sum(axis=0))


def profiles(showers: Showers) -> Profiles:
    """The accumulated shapes of a sample (add those of its parts to read it in batches)."""
    calorimeter, n_cells = showers.calorimeter, showers.calorimeter.n_cells
    energy = showers.energy.astype(np.float64)
    cells = [
        np.bincount(showers.cell, weights=weights, minlength=n_cells).astype(np.float64)
        for weights in (energy, energy**2)
    ]
    lateral = {}
    for axis in LATERAL:
        edges = lateral_edges(calorimeter, axis)
        bins = _cell_bins(calorimeter, axis, edges)
        lateral[axis] = _per_shower(showers, bins, len(edges) - 1)
    return Profiles(
        longitudinal=_per_shower(showers, calorimeter.cell_layer, calorimeter.n_layers),
        lateral=lateral,
        cells=Sum(len(showers), cells[0], cells[1]),
    )


def cell_spectrum(showers: Showers, edges: Floats) -> Floats:
    """Number of hits per bin of the cell energy (MeV); the first and last entries are the hits
    below and above the range, so the shape is (bins + 2,) and nothing is lost."""
    where = np.searchsorted(edges, showers.energy.astype(np.float64), side="right")
    where = np.where(showers.energy.astype(np.float64) == edges[-1], len(edges) - 1, where)
    return np.bincount(where, minlength=len(edges) + 1).astype(np.float64)


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
