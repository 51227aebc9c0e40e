"""LAGAN (L. de Oliveira, M. Paganini, B. Nachman), the published networks and training."""

from caloforge.models.lagan.model import LAGAN, LAGANConfig

__all__ = ["LAGAN", "LAGANConfig"]
