"""gflash against Geant4 in lcd-ecal: the same particles, mean profiles, response, resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Showers
from caloforge.simulate.gflash import GFlash, Tuning
from caloforge.validate import etot_over_einc
from simulated.estimators import Floats, Value, mean, plain_resolution
from simulated.tables import Samples, Table, gev

ENERGIES = (10, 20, 50, 100)
RADII = np.array([0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 40.0, 200.0])
"""Distance (mm) of a cell's centre from the impact point."""
LAYER_SHARE = 0.01
"""Layers that hold more of the visible energy are compared."""
CONTAINED = 0.95
"""Rings are compared up to the one that reaches this part of the visible energy."""


def layer_profile(showers: Showers) -> Floats:
    """Visible energy per layer over incident energy, per shower."""
    return np.asarray(showers.layer_energy / showers.incident.energy[:, None])


def radial_profile(showers: Showers) -> Floats:
    """Visible energy per ring around the impact point over incident energy, per shower."""
    positions = showers.calorimeter.cell_positions[showers.cell]
    row, rings = showers.hit_shower, len(RADII) - 1
    x, y = (positions[:, i] - showers.incident[name][row] for i, name in enumerate("xy"))
    ring = np.searchsorted(RADII, np.hypot(x, y), side="right") - 1
    weights = showers.energy / showers.incident.energy[row]
    inside = ring < rings
    keys = row[inside] * rings + ring[inside]
    sums = np.bincount(keys, weights[inside], minlength=len(showers) * rings)
    return sums.reshape(len(showers), rings).astype(np.float64)


def compared_layers(reference: Showers) -> NDArray[np.bool_]:
    """Layers that hold more than :data:`LAYER_SHARE` of the energy."""
    profile = layer_profile(reference).mean(axis=0)
    return np.asarray(profile > LAYER_SHARE * profile.sum())


def compared_rings(reference: Showers) -> NDArray[np.bool_]:
    """Rings up to the one that reaches :data:`CONTAINED`."""
    profile = radial_profile(reference).mean(axis=0)
    reached = np.cumsum(profile) / profile.sum()
    return np.arange(len(reached)) <= np.searchsorted(reached, CONTAINED)


def classical(folder: Samples, tuning: Tuning | None = None) -> list[Table]:
    """All tables of this section; with the shipped tuning when None."""
    columns = (
        "E, GeV",
        "showers",
        "response: gflash / Geant4",
        "resolution: gflash / Geant4",
        "largest difference of a layer, %",
        "of a ring, %",
    )
    table = Table("gflash against Geant4, the same electrons in lcd-ecal", columns)
    for name in folder.present(f"lcd-{energy}" for energy in ENERGIES):
        geant4 = folder.read(name)
        fast = (
            GFlash(geant4.calorimeter, tuning).simulate(geant4.incident, seed=1).above_threshold()
        )
        ratios = [
            estimate(etot_over_einc(fast)) / estimate(etot_over_einc(geant4))
            for estimate in (mean, plain_resolution)
        ]
        layers = _largest(layer_profile(geant4), layer_profile(fast), compared_layers(geant4))
        rings = _largest(radial_profile(geant4), radial_profile(fast), compared_rings(geant4))
        table.add(gev(geant4), len(geant4), *ratios, layers, rings)
    table.note = (
        "Mean profiles. Layers with more than 1 % of the visible energy; rings of 2.5 mm and more "
        "around the impact point, up to 95 % of it. The error is that of the layer or ring shown."
    )
    return [table]


def _largest(reference: Floats, generated: Floats, chosen: NDArray[np.bool_]) -> Value:
    """The largest relative difference of the mean profiles (%), with its own error."""
    values = [
        (mean(generated[:, k]) / mean(reference[:, k]) - Value(1.0, 0.0)) * 100
        for k in np.flatnonzero(chosen)
    ]
    return max(values, key=lambda value: abs(value.value))
