"""3DGAN (G. Khattak et al.), the published networks, losses and training procedures."""

from caloforge.models.threedgan.angle import ThreeDGANAngle, ThreeDGANAngleConfig
from caloforge.models.threedgan.fixed import ThreeDGAN, ThreeDGANConfig

__all__ = ["ThreeDGAN", "ThreeDGANAngle", "ThreeDGANAngleConfig", "ThreeDGANConfig"]
