"""The angle of a shower, measured from its cells (3DGAN)."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables.axes import Floats, layer_middles

NEAR = 1e-9
"""A layer whose centre lies nearer (mm) to the barycentre than this gives no slope."""


def measured_angle(
    layer_energy: Floats, along: Floats, across: Floats, mean: Floats, calorimeter: Calorimeter
) -> Floats:
    """Measured angle to one lateral axis, rad; pi/2: along the depth axis; shape (n,).

    With the barycentre (x, y, z)_ref of the shower and the centre of energy (x, y) of every layer
    at its middle z, for the angle to the x axis in the x-z plane:

        m = (x - x_ref) / sqrt((y - y_ref)^2 + (z - z_ref)^2), its sign turned where z < z_ref
        theta = sum_k w_k (pi/2 - atan m_k) / sum_k w_k,   w_k = k + 1/2

    over the layers k with energy (not those that lie at the barycentre, where m has no value).
    A shower without such a layer, so an empty one, has the angle 0, which no shower can have.

    Args:
        layer_energy: MeV, (n, n_layers).
        along: centre of every layer along the axis that the angle is taken to, mm.
        across: centre of every layer along the other one, mm.
        mean: (n, 3): barycentre along both axes (in this order) and in depth, mm.
        calorimeter: the geometry.

    Source: 3DGAN (variable angle), with lengths in mm in place of cell numbers: cells and layers
    of unequal size would turn the angle. Its image axis y is our x. It gives empty images 100.
    """
    dz = layer_middles(calorimeter) - mean[:, 2:3]
    rise = along - mean[:, 0:1]
    run = np.hypot(across - mean[:, 1:2], dz)
    usable = (layer_energy > 0) & (run > NEAR)
    slope = np.where(dz < 0, -rise, rise) / np.where(usable, run, 1.0)
    weight = np.where(usable, np.arange(layer_energy.shape[1]) + 0.5, 0.0)
    total = weight.sum(axis=1)
    angle = (weight * (np.pi / 2 - np.arctan(slope))).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, angle, 0.0)
