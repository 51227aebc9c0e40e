"""The layered model: an energy stage, a shape stage, and a sparse likelihood of the cells."""

from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.model import Layered

__all__ = ["Layered", "LayeredConfig"]
