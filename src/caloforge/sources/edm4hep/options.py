"""What the reader of EDM4hep files lets the user choose."""

from __future__ import annotations

from pydantic import NonNegativeInt

from caloforge.sources.lab.options import LabOptions


class Edm4hepOptions(LabOptions):
    """The choices of :class:`LabOptions`, and those that only EDM4hep has."""

    contributions: bool = False
    """Take the positions of the simulation's steps, where they are kept, not the cells' centres."""

    particle: NonNegativeInt | None = None
    """Number of the incident particle in the particle collection; when None, the one of the
    highest energy among those with generatorStatus 1."""

    particle_collection: str = "MCParticles"
    """The collection of the generated particles."""
