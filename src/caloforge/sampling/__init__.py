"""Drawing showers from the weights of a layered model: numpy and compiled loops, no torch."""

from caloforge.sampling.sampler import Hits, LayeredSampler

__all__ = ["Hits", "LayeredSampler"]
