"""Generation with a layered model: numpy and compiled loops, no torch."""

from caloforge.runtime.layered.engine import LayeredEngine
from caloforge.runtime.layered.sampler import LayeredSampler

__all__ = ["LayeredEngine", "LayeredSampler"]
