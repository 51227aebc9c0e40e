"""step2point files: HDF5 with the simulation's steps, read into cells."""

from caloforge.sources.step2point.source import Step2point

__all__ = ["Step2point"]
