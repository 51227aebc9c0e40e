"""The contract of a simulator: incident particles in, showers out.

Shower number k of a seed is the same shower in whatever process, batch or order it is made: a
simulator takes every random number of a shower from (seed, k).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Showers

Advance = Callable[[int], None]
"""Called now and then with the number of showers done so far in this call."""


class Simulator(ABC):
    """Makes showers in one calorimeter.

    A simulator is a small picklable description. What is heavy or cannot be sent (a Geant4 run
    manager) is made by the first :meth:`simulate` in the process that runs it.
    """

    name: ClassVar[str]
    """As ``--engine`` names it."""

    calorimeter: Calorimeter
    """What the showers are made in."""

    @abstractmethod
    def check(self, incident: Incident) -> None:
        """Refuse, before any work, particles that this simulator cannot shoot.

        Raises:
            ConfigError: naming the flag, the particle and what is possible.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """JSON-ready: everything that decides what comes out, for the provenance."""

    @abstractmethod
    def cost(self, incident: Incident) -> NDArray[np.float64]:
        """About how many CPU seconds each particle will take, shape (n,)."""

    def truth(self, incident: Incident) -> Incident:
        """The particles with all columns of their showers; some only the simulation can fill in."""
        return incident

    def prepare(self) -> None:  # noqa: B027
        """Do what the first :meth:`simulate` of a process would do once: not part of its time."""

    @abstractmethod
    def simulate(
        self, incident: Incident, *, seed: int, first: int = 0, advance: Advance | None = None
    ) -> Showers:
        """One shower per incident particle.

        Args:
            incident: n particles; row k is shower number ``first + k``.
            seed: fixes every random number, together with the shower's number.
            first: number of the first shower.
            advance: told about the progress.

        Returns:
            n showers whose ``provenance.source`` says what only the running simulator knows.

        Raises:
            SimulationError: the simulation cannot start or go on.
            ConfigError, GeometryError: the request makes no sense for this simulator.
        """
