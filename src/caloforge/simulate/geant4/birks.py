"""Birks' law without a callback per step.

A scintillator answers a deposit dE over a step dx with dE / (1 + k dE/dx). Geant4's C++ scorers sum
deposits only, but how dense a step is follows from the particle and its kinetic energy. So the
deposits of each kind of particle are summed in narrow classes of kinetic energy, and each class is
reduced by the factor that Geant4's own G4EmSaturation would give to a step of that particle, with
the length of Geant4's step function. A test compares the sum with G4EmSaturation's formula, applied
step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt
from typing import Any


@dataclass(frozen=True)
class Species:
    """Particles of one stopping power, and the kinetic energies (MeV) that bound their classes."""

    name: str
    members: tuple[str, ...]
    edges: tuple[float, ...]
    final_range: float = 0.1  # mm, of Geant4's step function (G4EmParameters)

    def classes(self) -> Iterator[tuple[str, float, float]]:
        """(name, lowest, highest kinetic energy) of every class."""
        for number, (low, high) in enumerate(pairwise(self.edges)):
            yield f"{self.name}-{number}", low, high


def _powers(first: float, factor: float, n: int) -> tuple[float, ...]:
    return (0.0, *(first * factor**k for k in range(n)), inf)


SPECIES = (
    Species("e-", ("e-", "e+"), (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 1.0, inf), 1.0),
    Species("mu-", ("mu-", "mu+"), _powers(0.5, 2.5, 7)),
    Species("pi-", ("pi-", "pi+"), _powers(0.5, 2.5, 7)),
    Species("kaon-", ("kaon-", "kaon+"), _powers(1.0, 2.5, 7)),
    Species("proton", ("proton", "anti_proton", "sigma+", "sigma-"), _powers(0.25, sqrt(2), 23)),
    Species("deuteron", ("deuteron",), _powers(0.5, 2.0, 9)),
    Species("triton", ("triton",), _powers(0.5, 2.0, 9)),
    Species("He3", ("He3",), _powers(1.0, 2.0, 9)),
    Species("alpha", ("alpha",), _powers(1.0, 2.0, 9)),
)

RECOIL = 0.05
"""Kinetic energy (MeV) of the proton whose density stands for recoils too soft to be tracked."""

COMPTON = 0.08
"""Kinetic energy (MeV) of the electron that stands for a photon's local deposits."""

ION = 1.0
"""Kinetic energy (MeV) at which nuclear fragments and recoils heavier than alpha are judged."""

RECOIL_CHARGE = 2.15
"""Mean Z^(2/3) of the atoms of a plastic (CH), by which G4EmSaturation shortens such ranges."""

_FRAGMENTS = [(z, a) for z in range(3, 9) for a in range(2 * z - 1, 2 * z + 4)]
"""(Z, A) of the nuclei heavier than alpha that break out of, or recoil in, a plastic."""


class Quenching:
    """Classes of deposits in one scintillator and how much of each is lost.

    Args:
        g4: the module ``geant4_pybind``.
        material: NIST name of the scintillator.
        birks: Birks' constant (mm/MeV).
    """

    def __init__(self, g4: Any, material: str, birks: float) -> None:
        self.g4 = g4
        self.material = material
        self.birks = birks
        self._losses: dict[str, float] | None = None

    def filters(self) -> Iterator[tuple[str, Any]]:
        """(name, filter) of every class."""
        for species in SPECIES:
            for name, low, high in species.classes():
                made = self.g4.G4SDParticleWithEnergyFilter(name, low, min(high, 1e12))
                for member in species.members:
                    made.add(member)
                yield name, made
        for name in ("gamma", "neutron"):
            made = self.g4.G4SDParticleFilter(name)
            made.add(name)
            yield name, made
        ions = self.g4.G4SDParticleFilter("ion")
        for z, a in _FRAGMENTS:
            ions.addIon(z, a)
        yield "ion", ions

    def losses(self) -> dict[str, float]:
        """Share of the deposit that every class loses; once the physics tables are built."""
        if self._losses is None:
            calculator = _Steps(self.g4, self.material)
            losses = {}
            for species in SPECIES:
                for name, low, high in species.classes():
                    losses[name] = self._loss(calculator.class_density(species, low, high))
            losses["gamma"] = self._loss(calculator.to_rest("e-", COMPTON))
            losses["neutron"] = self._loss(RECOIL_CHARGE * calculator.to_rest("proton", RECOIL))
            losses["ion"] = self._loss(calculator.ion(ION))
            self._losses = losses
        return self._losses

    def _loss(self, dedx: float) -> float:
        return 1.0 - 1.0 / (1.0 + self.birks * dedx)


class _Steps:
    """dE/dx (MeV/mm) of the steps that Geant4 takes."""

    def __init__(self, g4: Any, material: str) -> None:
        self.calculator = g4.G4EmCalculator()
        self.table = g4.G4ParticleTable.GetParticleTable()
        self.material = g4.G4NistManager.Instance().FindOrBuildMaterial(material)
        self.ions = g4.G4IonTable

    def class_density(self, species: Species, low: float, high: float) -> float:
        """Mean dE/dx of the steps that begin with a kinetic energy between low and high (MeV)."""
        particle = self.table.FindParticle(species.name)
        low = max(low, high / 16 if high < inf else low, 1e-3)
        high = high if high < inf else 4 * low
        energies = [low + (high - low) * (k + 0.5) / 8 for k in range(8)]
        return sum(self._step(particle, species.final_range, energy) for energy in energies) / 8

    def _step(self, particle: Any, final: float, energy: float) -> float:
        """dE/dx of one step: to rest inside ``final`` mm, else as far as the step function lets."""
        reach = self.calculator.GetRange(energy, particle, self.material)
        if reach <= 0:
            return 0.0
        if reach <= final:
            return float(energy / reach)
        step = 0.2 * reach + final * 0.8 * (2 - final / reach)
        if step > 1.0:  # hardly changes energy: the local value
            return float(self.calculator.GetDEDX(energy, particle, self.material))
        rest = self.calculator.GetKinEnergy(reach - step, particle, self.material)
        return float((energy - rest) / step)

    def to_rest(self, name: str, energy: float) -> float:
        """Mean dE/dx of a particle that stops."""
        particle = self.table.FindParticle(name)
        return float(energy / self.calculator.GetRange(energy, particle, self.material))

    def ion(self, energy: float) -> float:
        """dE/dx of a carbon nucleus."""
        carbon = self.table.GetIonTable().GetIon(6, 12, 0.0)
        return float(self.calculator.ComputeTotalDEDX(energy, carbon, self.material))
