"""The Par04 barrel of the CaloChallenge, in both of its meshes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from caloforge.geometry import CylindricalGrid
from caloforge.observables import cell_axis
from caloforge.showers import Showers
from caloforge.validate import etot_over_einc, layer_energy
from simulated.estimators import Floats, mean
from simulated.shapes import layer_depths, mean_depth
from simulated.tables import Samples, Table

MESHES = ("par04", "par04-fine")
SILICON = 0.033
"""The CaloChallenge's samples are silicon deposits divided by this."""
EDGES = (1.0, 10.0, 100.0, 1000.0)
"""GeV."""


def par04(folder: Samples) -> list[Table]:
    """All tables of this section."""
    columns = (
        "mesh",
        "E, GeV",
        "showers",
        "visible / incident, %",
        f"of {SILICON}",
        "mean depth, X0",
        "mean radius, mm",
        "in the outermost 4.65 mm, %",
        "in the last layer, %",
    )
    table = Table("Electrons in par04-siw and par04-siw-fine", columns)
    for name in folder.present(MESHES):
        showers = folder.read(name)
        depths = layer_depths(showers.calorimeter)
        gev = showers.incident.energy / 1e3
        for low, high in pairwise(EDGES):
            part = showers[(gev >= low) & (gev < high)]
            if len(part) < 5:
                continue
            visible, layers = mean(etot_over_einc(part)), layer_energy(part)
            table.add(
                showers.calorimeter.name,
                f"{low:g}-{high:g}",
                len(part),
                visible * 100,
                visible * (1 / SILICON),
                mean(mean_depth(part, depths)),
                mean(mean_radius(part)),
                mean(outermost(part)) * 100,
                mean(layers[:, -1] / layers.sum(axis=1)) * 100,
            )
    table.note = (
        "Energies uniform in their logarithm. One layer is 2.8 mm W and 0.6 mm Si, 0.81 X0. The "
        "fine mesh has rings half as wide: its mean radius is smaller, as the middle of a ring "
        "stands for every deposit in it."
    )
    return [table]


def _per_shower(showers: Showers, weights: Floats) -> Floats:
    sums = np.bincount(showers.hit_shower, showers.energy * weights, minlength=len(showers))
    return np.asarray(sums / showers.total_energy)


def mean_radius(showers: Showers) -> Floats:
    """Energy-weighted mean distance from the axis, mm."""
    return _per_shower(showers, cell_axis(showers.calorimeter, "r")[showers.cell])


def outermost(showers: Showers) -> Floats:
    """Share of the energy in the outermost ring of 4.65 mm."""
    grid = showers.calorimeter.layers[0].segmentation
    assert isinstance(grid, CylindricalGrid)
    border = grid.r_edges[-1] - 4.65
    radius = cell_axis(showers.calorimeter, "r")[showers.cell]
    return _per_shower(showers, (radius > border).astype(np.float64))
