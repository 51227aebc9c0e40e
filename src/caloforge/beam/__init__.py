"""Incident particles: from a few words, or copied from another file."""

from caloforge.beam.impact import aimed, directions
from caloforge.beam.like import IMPACT, like
from caloforge.beam.particles import PDG, Words, as_words, particles, pdg_code
from caloforge.beam.shot import shot

__all__ = [
    "IMPACT",
    "PDG",
    "Words",
    "aimed",
    "as_words",
    "directions",
    "like",
    "particles",
    "pdg_code",
    "shot",
]
