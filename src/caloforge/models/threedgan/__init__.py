"""3DGAN (G. Khattak et al.), the published networks, losses and training procedure."""

from caloforge.models.threedgan.fixed import ThreeDGAN, ThreeDGANConfig

__all__ = ["ThreeDGAN", "ThreeDGANConfig"]
