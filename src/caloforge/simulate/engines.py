"""Which simulators there are, by the name that ``--engine`` gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident
from caloforge.simulate.base import Simulator
from caloforge.simulate.fast import choices
from caloforge.simulate.geant4.simulator import ELECTROMAGNETIC_PARTICLES, Geant4
from caloforge.simulate.gflash import GFlash

ENGINES = ("geant4", "gflash")


def open_simulator(
    engine: str, calorimeter: Calorimeter, incident: Incident, **options: Any
) -> Simulator:
    """The simulator for some particles in a calorimeter, after checking that it can shoot them.

    Args:
        engine: one of :data:`ENGINES`.
        calorimeter: with stacks of materials.
        incident: the particles; ``physics="auto"`` takes FTFP_BERT when there are hadrons.
        options: of Geant4: ``physics``, ``em_option``, ``cut`` (mm), ``fast`` (models that take
            particles over, see :func:`caloforge.simulate.fast.choices`).

    Raises:
        ConfigError: no such engine, an option that it does not have, or particles beyond it.
        GeometryError: the calorimeter cannot be simulated.
        SimulationError: Geant4's tables are not here.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine}: choose one of {', '.join(ENGINES)}")
    given = {name: value for name, value in options.items() if value is not None}
    if engine == "gflash":
        if given:
            flag = sorted(given)[0].replace("_", "-")
            raise ConfigError(f"--{flag} is an option of --engine geant4; leave it out")
        simulator: Simulator = GFlash(calorimeter)
    else:
        if "fast" in given:
            given["fast"] = choices(given["fast"])
        if given.get("physics", "auto") == "auto":
            given["physics"] = _physics(incident)
        simulator = Geant4(calorimeter, **given)
    simulator.check(incident)
    return simulator


def _physics(incident: Incident) -> str:
    if "pdg" not in incident:
        return "em"
    known = np.isin(incident["pdg"], ELECTROMAGNETIC_PARTICLES)
    return "em" if known.all() else "ftfp_bert"
