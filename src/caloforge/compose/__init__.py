"""Whole events from generated showers, and the electronics that read them out."""

from caloforge.compose.digitisation import Digitisation, described, digitise
from caloforge.compose.events import Composition, compose
from caloforge.compose.particles import Particles, from_table, read_particles

__all__ = [
    "Composition",
    "Digitisation",
    "Particles",
    "compose",
    "described",
    "digitise",
    "from_table",
    "read_particles",
]
