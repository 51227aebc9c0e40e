"""Shoots the particles of an incident table, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.beam import directions
from caloforge.runtime.noise import SIMULATION_STREAM, uniform_noise
from caloforge.showers import Incident
from caloforge.simulate.aim import starts

_MASK = 2**31 - 1


def event_seeds(seed: int, first: int, n: int) -> NDArray[np.int64]:
    """Four 31-bit words per event, of its own, from (seed, shower number)."""
    words = uniform_noise(seed, first, first + n, 4, SIMULATION_STREAM)
    return (words * _MASK).astype(np.int64) + 1


def make_gun(g4: Any) -> Any:
    """A generator action that shoots the particles of ``aim`` one after the other."""

    class Gun(g4.G4VUserPrimaryGeneratorAction):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gun = g4.G4ParticleGun(1)
            self.table = g4.G4ParticleTable.GetParticleTable()
            self.next = 0

        def aim(
            self,
            incident: Incident,
            seeds: NDArray[np.int64],
            by_chance: Sequence[bool],
        ) -> None:
            """What to shoot; random numbers matter where ``by_chance``."""
            self.by_chance = by_chance
            self.start, self.direction = starts(incident).tolist(), directions(incident).tolist()
            self.energy, self.pdg = incident.energy.tolist(), incident["pdg"].tolist()
            self.particle = {pdg: self.table.FindParticle(int(pdg)) for pdg in set(self.pdg)}
            self.seeds = seeds
            self.next = 0

        def GeneratePrimaries(self, event: Any) -> None:
            k = self.next
            self.next += 1
            if self.by_chance[k]:  # seeding takes longer than the flight of one that is taken over
                g4.G4Random.setTheSeeds([*self.seeds[k].tolist(), 0], 4)
            self.gun.SetParticleDefinition(self.particle[self.pdg[k]])
            self.gun.SetParticleEnergy(self.energy[k])
            self.gun.SetParticlePosition(g4.G4ThreeVector(*self.start[k]))
            self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*self.direction[k]))
            self.gun.GeneratePrimaryVertex(event)

    return Gun()
