"""Which particles GFlash shoots."""

from __future__ import annotations

import numpy as np

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident
from caloforge.simulate.aim import check_aim

PHOTON = 22
PARTICLES = {11: "e-", -11: "e+", PHOTON: "gamma"}
"""What it knows, by PDG code."""

LOWEST_ENERGY = 1e3
"""MeV; below, the published fluctuations of ln T and ln alpha grow without bound."""

HIGHEST_ENERGY = 1e6
"""MeV; the formulae go on as ln E for ever: a factor of ten beyond the showers compared with."""

STEEPEST = 0.2
"""Smallest cosine of the angle to the normal."""


def check(calorimeter: Calorimeter, incident: Incident) -> None:
    """Refuse particles that the parameterisation does not describe.

    Raises:
        ConfigError: naming the flag, the particle and what is possible.
    """
    _check_particles(incident)
    _check_energies(incident)
    _check_angles(incident)
    check_aim(calorimeter, incident)


def _check_particles(incident: Incident) -> None:
    if "pdg" not in incident:
        raise ConfigError("gflash must know the particle; give --particle e-, e+ or gamma")
    for code in np.unique(incident["pdg"]).tolist():
        if code not in PARTICLES:
            raise ConfigError(
                f"--particle: gflash knows {', '.join(PARTICLES.values())}, not PDG code {code}; "
                "choose one of them or another --engine"
            )


def _check_energies(incident: Incident) -> None:
    low, high = LOWEST_ENERGY / 1e3, HIGHEST_ENERGY / 1e3
    outside = (incident.energy < LOWEST_ENERGY) | (incident.energy > HIGHEST_ENERGY)
    if outside.any():
        raise ConfigError(
            f"--energy: gflash is made for {low:g} to {high:g} GeV, not "
            f"{incident.energy[outside][0] / 1e3:g} GeV; choose such energies or another --engine"
        )


def _check_angles(incident: Incident) -> None:
    theta = incident["theta"] if "theta" in incident else np.full(len(incident), np.pi / 2)
    flat = np.sin(theta) < STEEPEST
    if flat.any():
        edge = float(np.degrees(np.arcsin(STEEPEST)))
        raise ConfigError(
            f"--theta: {np.degrees(theta[flat][0]):g} degrees is too flat for gflash; choose "
            f"{np.ceil(edge):.0f} to {180 - np.ceil(edge):.0f}"
        )
