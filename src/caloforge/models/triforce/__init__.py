"""Triforce (M. Zhang et al.)."""

from caloforge.models.triforce.gan import TriforceGAN, TriforceGANConfig

__all__ = ["TriforceGAN", "TriforceGANConfig"]
