"""The GAN of 2-D convolutions (F. Rehm et al.) for the images of the fixed-angle 3DGAN."""

from caloforge.models.twodgan.model import TwoDGAN, TwoDGANConfig

__all__ = ["TwoDGAN", "TwoDGANConfig"]
