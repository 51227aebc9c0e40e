"""Fit the gflash tuning of lcd-ecal to Geant4 electrons.

python validation/gflash_tuning.py FOLDER

FOLDER holds lcd-10.h5, lcd-20.h5, lcd-50.h5 and lcd-100.h5 of simulation_samples.py. First the
longitudinal constants and the response to the layers' mean energies, then the lateral ones to the
energies in rings. Starts from the shipped tuning; prints what it finds, and what is left. A few
minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, minimize

from caloforge.showers import Showers
from caloforge.simulate.gflash import GFlash, Tuning
from caloforge.simulate.gflash.tuning import LCD_ECAL
from simulated.classical import ENERGIES, classical, layer_profile, radial_profile
from simulated.estimators import Floats
from simulated.tables import Samples

LONGITUDINAL = (
    "maximum",
    "maximum_log",
    "shape",
    "shape_log",
    "e_over_mip",
    "e_over_mip_cell",
    "backscatter",
    "backscatter_x0",
)
LATERAL = ("core_radius", "core_radius_log", "tail_radius", "core_weight")
SHOWERS = 5000
"""Per energy, for the layers: their shower-to-shower fluctuations shift a mean profile."""
SPOT_SHOWERS = 600
"""Per energy, for the rings. The random numbers are the same in every step of the fit."""

Floor = Callable[[Floats], Floats]
"""Share of the energy in every bin to the error that is allowed for."""


class Fit:
    """Relative differences of mean profiles from those of Geant4, weighted."""

    def __init__(self, geant4: list[Showers]) -> None:
        self.geant4 = geant4

    def layers(self, tuning: Tuning) -> Floats:
        """Of the layers and of their sum, all energies in one row."""
        rows = []
        for sample in self.geant4:
            incident = sample.incident.take(np.arange(SHOWERS) % len(sample))
            simulator = GFlash(sample.calorimeter, tuning)
            energy = simulator.expected_layer_energy(incident, seed=3)
            found = energy / incident.energy[:, None]
            expected = layer_profile(sample)
            rows.append(difference(found, expected, layer_floor))
            sums = [profile.sum(axis=1, keepdims=True) for profile in (found, expected)]
            rows.append(difference(sums[0], sums[1], response_floor))
        return np.concatenate(rows)

    def rings(self, tuning: Tuning) -> Floats:
        """Of the rings, all energies in one row."""
        rows = []
        for sample in self.geant4:
            simulator = GFlash(sample.calorimeter, tuning)
            found = radial_profile(simulator.simulate(sample[:SPOT_SHOWERS].incident, seed=3))
            rows.append(difference(found, radial_profile(sample), ring_floor))
        return np.concatenate(rows)


def difference(found: Floats, expected: Floats, floor: Floor) -> Floats:
    """(found / expected - 1) of the means, over the statistical error and ``floor`` together."""
    mean = expected.mean(axis=0)
    statistical = expected.std(axis=0) / np.sqrt(len(expected)) / mean
    error = np.hypot(statistical, floor(mean / mean.sum()))
    return np.asarray((found.mean(axis=0) / mean - 1) / error)


def layer_floor(share: Floats) -> Floats:
    """1.5 % for layers that matter, more for the others."""
    return np.where(share > 0.008, 0.015, np.where(share > 0.003, 0.06, 0.2))


def ring_floor(share: Floats) -> Floats:
    """2.5 % for the two inner rings, which hold most; 5 % for those beyond 95 %."""
    floor = np.where(share > 0.2, 0.025, 0.035)
    return np.where(np.cumsum(share) - share > 0.95, 0.05, floor)


def response_floor(share: Floats) -> Floats:
    """0.3 %."""
    return np.full_like(share, 0.003)


def longitudinal(fit: Fit, tuning: Tuning) -> Tuning:
    """The constants of the profile along the axis, and the response."""

    def residuals(x: Floats) -> Floats:
        return fit.layers(with_values(tuning, LONGITUDINAL, x))

    start = values_of(tuning, LONGITUDINAL)
    found = least_squares(residuals, start, x_scale=np.abs(start) / 10, diff_step=1e-3)
    return with_values(tuning, LONGITUDINAL, found.x)


def lateral(fit: Fit, tuning: Tuning) -> Tuning:
    """The constants of the profile around the axis."""

    def cost(x: Floats) -> float:
        tried = with_values(tuning, LATERAL, x)
        return float((fit.rings(tried) ** 4).sum())

    start = values_of(tuning, LATERAL)
    simplex = np.vstack([start, start * (1 + 0.1 * np.eye(len(start)))])
    options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 0.5, "maxfev": 200}
    found = minimize(cost, start, method="Nelder-Mead", options=options)
    return with_values(tuning, LATERAL, found.x)


def values_of(tuning: Tuning, names: tuple[str, ...]) -> Floats:
    """The named constants."""
    return np.array([getattr(tuning, name) for name in names])


def with_values(tuning: Tuning, names: tuple[str, ...], values: Floats) -> Tuning:
    """The tuning with the named constants replaced."""
    return replace(tuning, **dict(zip(names, values.tolist(), strict=True)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of simulated store files")
    folder = Samples(parser.parse_args().folder)
    fit = Fit([folder.read(f"lcd-{energy}") for energy in ENERGIES])
    tuning = lateral(fit, longitudinal(fit, LCD_ECAL))
    print({name: round(getattr(tuning, name), 3) for name in (*LONGITUDINAL, *LATERAL)})
    print("\n\n".join(table.markdown() for table in classical(folder, tuning)))


if __name__ == "__main__":
    main()
