"""Variational autoencoders: the dense one of Geant4's Par04 example, and a convolutional one."""

from caloforge.models.vae.conv import ConvVAE, ConvVAEConfig
from caloforge.models.vae.dense import DenseVAE, DenseVAEConfig

__all__ = ["ConvVAE", "ConvVAEConfig", "DenseVAE", "DenseVAEConfig"]
