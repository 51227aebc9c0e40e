"""Observables: numbers computed from every shower alone, for any calorimeter.

All of them work on the sparse hits (one ``np.bincount`` each). Divisions add 1e-16 to the
denominator, as the CaloChallenge does, so that an empty shower gives 0 and never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CartesianGrid, CylindricalGrid
from caloforge.showers import Showers

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


def _shower_sum(showers: Showers, weights: NDArray[Any]) -> Floats:
    sums = np.bincount(showers.hit_shower, weights=weights, minlength=len(showers))
    return sums.astype(np.float64)


def _layer_sum(showers: Showers, weights: NDArray[Any] | None) -> Floats:
    n, n_layers = len(showers), showers.calorimeter.n_layers
    keys = showers.hit_shower * n_layers + showers.calorimeter.cell_layer[showers.cell]
    flat = np.bincount(keys, weights=weights, minlength=n * n_layers)
    return flat.reshape(n, n_layers).astype(np.float64)


def total_energy(showers: Showers) -> Floats:
    """Visible energy Etot = sum of the cell energies, MeV; shape (n,)."""
    return showers.total_energy


def etot_over_einc(showers: Showers) -> Floats:
    """Sampling fraction (response) Etot / Einc, no unit; shape (n,). CaloChallenge, 3DGAN."""
    return np.asarray(showers.total_energy / showers.incident.energy)


def hits(showers: Showers) -> Floats:
    """Number of cells with energy (above the threshold); shape (n,). 3DGAN."""
    return showers.hits_per_shower.astype(np.float64)


def depth(showers: Showers) -> Floats:
    """Energy-weighted mean depth sum(z e) / sum(e), mm from the front face; shape (n,)."""
    return moments(showers)[:, 2]


def layer_energy(showers: Showers) -> Floats:
    """Visible energy of every layer, MeV; shape (n, n_layers). CaloChallenge E_layer."""
    return _layer_sum(showers, showers.energy)


def layer_centre(showers: Showers, axis: str) -> Floats:
    """Centre of energy of every layer along 'x', 'y' or 'r', mm; shape (n, n_layers).

    EC = sum(x e) / (sum(e) + 1e-16) (CaloChallenge: eta, phi, r); 0 where a layer is empty.
    """
    position = cell_axis(showers.calorimeter, axis)[showers.cell]
    total = _layer_sum(showers, showers.energy)
    return np.asarray(_layer_sum(showers, showers.energy * position) / (total + TINY))


def layer_width(showers: Showers, axis: str) -> Floats:
    """Width of every layer along 'x', 'y' or 'r', mm; shape (n, n_layers).

    sqrt(max(<x^2> - <x>^2, 0)), energy weighted (CaloChallenge); 0 where a layer is empty.
    """
    position = cell_axis(showers.calorimeter, axis)[showers.cell]
    total = _layer_sum(showers, showers.energy) + TINY
    mean = _layer_sum(showers, showers.energy * position) / total
    square = _layer_sum(showers, showers.energy * position**2) / total
    return np.asarray(np.sqrt(np.clip(square - mean**2, 0.0, None)))


def sparsity(showers: Showers) -> Floats:
    """Share of empty cells in every layer, 1 - mean(e > 0); shape (n, n_layers). CaloChallenge."""
    cells = np.diff(showers.calorimeter.layer_offset)
    return np.asarray(1.0 - _layer_sum(showers, None) / cells)


def moments(showers: Showers) -> Floats:
    """First and second moments of the whole shower: shape (n, 6), mm.

    Columns: mean x, y, z, then sqrt(<x^2> - <x>^2) along x, y, z, all energy weighted (the
    moments of 3DGAN, with its second central moment taken as a width).
    """
    total = _shower_sum(showers, showers.energy) + TINY
    means, widths = [], []
    for column in range(3):
        position = showers.calorimeter.cell_positions[showers.cell, column]
        mean = _shower_sum(showers, showers.energy * position) / total
        square = _shower_sum(showers, showers.energy * position**2) / total
        means.append(mean)
        widths.append(np.sqrt(np.clip(square - mean**2, 0.0, None)))
    return np.column_stack(means + widths)


def depth_thirds(showers: Showers) -> Floats:
    """Share of the energy in the first, middle and last third of the depth; shape (n, 3). 3DGAN.

    A layer belongs to the third in which its middle lies; depth from the front of the first
    layer to the back of the last one.
    """
    layers = showers.calorimeter.layers
    front = layers[0].z
    length = layers[-1].z + layers[-1].thickness - front
    middle = np.array([layer.z + layer.thickness / 2 for layer in layers])
    third = np.minimum((3 * (middle - front) / length).astype(np.int64), 2)
    energy = layer_energy(showers)
    shares = np.stack([energy[:, third == k].sum(axis=1) for k in range(3)], axis=1)
    return np.asarray(shares / (energy.sum(axis=1, keepdims=True) + TINY))


@dataclass(frozen=True)
class Observables:
    """The observables of n showers; see the function of each name. ``energy`` is Einc (MeV)."""

    energy: Floats
    total: Floats
    hits: Floats
    moments: Floats
    thirds: Floats
    layer_energy: Floats
    sparsity: Floats
    centre_x: Floats
    centre_y: Floats
    centre_r: Floats
    width_x: Floats
    width_y: Floats
    width_r: Floats

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: Any) -> Observables:
        return Observables(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def response(self) -> Floats:
        """Etot / Einc of every shower."""
        return np.asarray(self.total / self.energy)

    @property
    def depth(self) -> Floats:
        """Energy-weighted mean depth (mm)."""
        return np.asarray(self.moments[:, 2])

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Showers that hold at least one hit."""
        return np.asarray(self.hits > 0)

    @staticmethod
    def concatenate(parts: Sequence[Observables]) -> Observables:
        """One table from many, in order."""
        names = [f.name for f in fields(Observables)]
        return Observables(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        )


def observables(showers: Showers) -> Observables:
    """All observables of a sample."""
    lateral = {f"centre_{axis}": layer_centre(showers, axis) for axis in AXES}
    lateral |= {f"width_{axis}": layer_width(showers, axis) for axis in AXES}
    return Observables(
        energy=showers.incident.energy,
        total=total_energy(showers),
        hits=hits(showers),
        moments=moments(showers),
        thirds=depth_thirds(showers),
        layer_energy=layer_energy(showers),
        sparsity=sparsity(showers),
        **lateral,
    )
