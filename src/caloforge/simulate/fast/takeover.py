"""Which particles a model takes over, and how it sees them."""

from __future__ import annotations

from math import acos, atan2, hypot, pi
from pathlib import Path
from typing import NamedTuple

from caloforge.engines import open_engine
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.runtime.trained import accepted_ranges
from caloforge.simulate.fast.choice import FastChoice
from caloforge.simulate.fast.overlay import Overlay

FLAT = 0.01
"""rad by which a particle may miss the directions of a model that knows of no others; 5 cm deep in
the shower these are half a millimetre."""

CENTRED = 0.01
"""The same for impact points, in :attr:`Overlay.pitch`."""


class Arrival(NamedTuple):
    """A particle on the front face: kinetic energy (MeV), point (mm), direction."""

    pdg: int
    energy: float
    x: float
    y: float
    direction: tuple[float, float, float]


class Seen(NamedTuple):
    """A particle as a model sees it: in its own window, moved by whole cells.

    ``x``, ``y`` (mm) where the line is at the depth ``z``; angles in rad as in the incident table.
    """

    energy: float
    pdg: int
    theta: float
    phi: float
    x: float
    y: float
    z: float
    moved: tuple[int, int]


class Takeover:
    """A model and the particles that are its own.

    Args:
        choice: which model.
        detector: what is simulated.

    Raises:
        ConfigError: the model does not say for which particles or energies it was made.
        GeometryError: it does not fit into the detector.
        ModelError: it cannot be read.
    """

    def __init__(self, choice: FastChoice, detector: Calorimeter) -> None:
        self.engine = open_engine(choice.model, threads=1)
        self.name = Path(choice.model).name
        self.overlay = Overlay(self.engine.calorimeter, detector)
        source = self.engine.description["provenance"].get("source", {})
        self.particles = choice.particles or tuple(source.get("training_particles", ()))
        if not self.particles:
            raise ConfigError(
                f"--fast {self.name}: the model does not say which particles it was trained on; "
                f"name them, as in --fast e-={self.name}"
            )
        self.condition = tuple(self.engine.description["condition"])
        self.ranges = accepted_ranges(self.engine)
        if "energy" not in self.ranges:
            raise ConfigError(
                f"--fast {self.name}: the model does not say which energies it was trained on; "
                "train it again with this version"
            )
        low, high = self.ranges.get("z", (0.0, 0.0))
        self.depth = (low + high) / 2

    def sees(self, arrival: Arrival) -> Seen | None:
        """The particle for the model, None where it lies outside what the model has learned."""
        if arrival.pdg not in self.particles or not self._in("energy", arrival.energy):
            return None
        angles = self._angles(arrival.direction)
        if angles is None:
            return None
        across_x, across_y, along = arrival.direction
        pitch_x, pitch_y = self.overlay.pitch
        x = arrival.x + self.depth * across_x / along
        y = arrival.y + self.depth * across_y / along
        moved = round(x / pitch_x), round(y / pitch_y)
        x, y = x - moved[0] * pitch_x, y - moved[1] * pitch_y
        if not (self._at("x", x, pitch_x) and self._at("y", y, pitch_y)):
            return None
        return Seen(arrival.energy, arrival.pdg, *angles, x, y, self.depth, moved)

    def usual(self) -> Seen:
        """A particle in the middle of what the model knows."""
        middle = {name: (low + high) / 2 for name, (low, high) in self.ranges.items()}
        theta, phi = middle.get("theta", pi / 2), middle.get("phi", 0.0)
        place = middle.get("x", 0.0), middle.get("y", 0.0)
        return Seen(
            middle["energy"], self.particles[0], theta, phi, *place, self.depth, moved=(0, 0)
        )

    def _in(self, name: str, value: float) -> bool:
        low, high = self.ranges[name]
        return low <= value <= high

    def _at(self, name: str, value: float, pitch: float) -> bool:
        """Whether an impact point is one that the model knows; without a column, the middle."""
        if name in self.condition:
            return self._in(name, value)
        return abs(value) <= CENTRED * pitch

    def _angles(self, direction: tuple[float, float, float]) -> tuple[float, float] | None:
        """theta and phi of a direction, None where the model does not know it."""
        across_x, across_y, along = direction
        if along <= 0.0:
            return None
        if "theta" not in self.condition:
            return (pi / 2, 0.0) if hypot(across_x, across_y) <= FLAT else None
        if "phi" not in self.condition:
            theta = acos(across_x)
            return (theta, 0.0) if abs(across_y) <= FLAT and self._in("theta", theta) else None
        across, phi = hypot(across_x, across_y), atan2(across_y, across_x)
        back = acos(-across)
        for theta, turned in ((acos(across), phi), (back, phi - pi), (back, phi + pi)):
            if self._in("theta", theta) and self._in("phi", turned):
                return theta, turned
        return None
