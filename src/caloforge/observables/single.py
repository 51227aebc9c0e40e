"""One observable at a time, by its definition's name. Sums run over a shower's or layer's cells."""

from __future__ import annotations

import numpy as np

from caloforge.observables.axes import TINY, Floats, cell_table
from caloforge.observables.compute import observables
from caloforge.showers import Showers


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
    return observables(showers).depth


def layer_energy(showers: Showers) -> Floats:
    """Visible energy of every layer, MeV; shape (n, n_layers). CaloChallenge E_layer."""
    return showers.layer_energy


def layer_centre(showers: Showers, axis: str) -> Floats:
    """Centre of energy of every layer along 'x', 'y' or 'r', mm; shape (n, n_layers).

    EC = sum(x e) / (sum(e) + 1e-16) (CaloChallenge: eta, phi, r); 0 where a layer is empty.
    """
    values: Floats = getattr(observables(showers), f"centre_{axis}")
    return values


def layer_width(showers: Showers, axis: str) -> Floats:
    """Width of every layer along 'x', 'y' or 'r', mm; shape (n, n_layers).

    sqrt(max(<x^2> - <x>^2, 0)), energy weighted (CaloChallenge); 0 where a layer is empty. Summed
    as <(x - <x>)^2>, the same number with less rounding; 0 below 1e-6 mm.
    """
    values: Floats = getattr(observables(showers), f"width_{axis}")
    return values


def sparsity(showers: Showers) -> Floats:
    """Share of empty cells in every layer, 1 - mean(e > 0); shape (n, n_layers). CaloChallenge."""
    return observables(showers).sparsity


def moments(showers: Showers) -> Floats:
    """First and second moments of the whole shower: shape (n, 6), mm.

    Columns: mean x, y, z, then sqrt(<x^2> - <x>^2) along x, y, z, all energy weighted (the
    moments of 3DGAN, with its second central moment taken as a width).
    """
    return observables(showers).moments


def depth_thirds(showers: Showers) -> Floats:
    """Share of the energy in each third of the depth; shape (n, 3), see :func:`layers.thirds`."""
    return observables(showers).thirds


def measured_theta(showers: Showers, axis: str = "x") -> Floats:
    """Angle of the shower to the 'x' or 'y' axis, measured from its cells, rad; shape (n,).

    :func:`angle.measured_angle` says how; 0 where there is none (empty showers, one layer).
    Comparable to the incident ``theta`` for the x axis. 3DGAN.
    """
    return np.asarray(observables(showers).measured_angle[:, "xy".index(axis)])


def share_within(showers: Showers, radii: Floats) -> Floats:
    """Share of the energy within each radius (mm) of the shower's axis; shape (n, len(radii)).

    A cell counts when its centre lies within; the axis is that of ``radius_90`` (see
    :class:`Observables`). 0 for an empty shower.
    """
    from caloforge.observables.kernels import FIELDS, distances_to_axis

    table = observables(showers)
    row = np.zeros((len(showers), len(FIELDS)))
    row[:, 8:11], row[:, 20:22] = table.moments[:, :3], table.slope
    look_up, offset = cell_table(showers.calorimeter), showers.offset.astype(np.int64)
    result = np.zeros((len(showers), len(radii)))
    for k in range(len(showers)):
        cells = showers.cell[offset[k] : offset[k + 1]]
        energy = showers.energy[offset[k] : offset[k + 1]].astype(np.float64)
        distance = np.empty(len(cells))
        distances_to_axis(cells, look_up, row[k], distance)
        for j, radius in enumerate(radii):
            result[k, j] = energy[distance <= radius].sum() / (table.total[k] + TINY)
    return result


def sparsity_curve(showers: Showers) -> Floats:
    """Share of cells above 10^t GeV, t = -13..0, mean over the showers; shape (14,). 3DGAN.

    Of a large sample: the column means of ``Observables.sparsity_curve``.
    """
    return np.asarray(observables(showers).sparsity_curve.mean(axis=0))
