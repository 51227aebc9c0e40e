"""From cell energies in MeV to what a network sees, and back; both ways in torch."""

from caloforge.preprocess.grid import GridImage
from caloforge.preprocess.scaling import EnergyScaling, PowerScaling

__all__ = ["EnergyScaling", "GridImage", "PowerScaling"]
