"""From cell energies in MeV to what a network sees, and back; both ways in torch."""

from caloforge.preprocess.blocks import BlockImages
from caloforge.preprocess.grid import GridImage
from caloforge.preprocess.layer_shares import LayerShares
from caloforge.preprocess.scaling import EnergyScaling, PowerScaling
from caloforge.preprocess.shower_scaling import ShowerScaling

__all__ = [
    "BlockImages",
    "EnergyScaling",
    "GridImage",
    "LayerShares",
    "PowerScaling",
    "ShowerScaling",
]
