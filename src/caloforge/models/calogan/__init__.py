"""CaloGAN (M. Paganini, L. de Oliveira, B. Nachman), the published networks and training."""

from caloforge.models.calogan.model import CaloGAN, CaloGANConfig

__all__ = ["CaloGAN", "CaloGANConfig"]
