"""Triforce's GAN: a torch cousin of the fixed-angle 3DGAN, with a latent vector of 1024.

Generator 3,456,861 and discriminator 73,402 trainable parameters, the published tables. The
discriminator is that of 3DGAN. In the generator torch's conventions take the place of Keras':
LeakyReLU slopes down with 0.01, batch normalisation keeps 0.9 of its running mean, upsampling is
trilinear with the corners aligned (what torch did then), and the dense layer makes channels first.

The public code defines the networks and has no training of them. Conditioning, losses and step are
those of the fixed-angle 3DGAN: normal noise times E, binary cross entropy and the percentage errors
of energy and sum(ECAL). The convolutions start from he_uniform: with the code's weights between 0
and 1 the first showers have millions of GeV.

Source: M. Zhang et al., public code (MattUnderscoreZhang/Triforce_CaloML) and the tables that it
printed; D. Belayneh et al., Eur. Phys. J. C 80 (2020) 688.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import nn
from torch.nn import functional as F

from caloforge.models import matmul3d
from caloforge.models.keras import ZeroPad3d, channels_last, initialise
from caloforge.models.threedgan.fixed import FixedAngle, ThreeDGANConfig
from caloforge.models.threedgan.fixed_networks import Discriminator
from caloforge.models.threedgan.particle_tag import TaggedGenerator

SLOPE = 0.01


class TriforceGANConfig(ThreeDGANConfig):
    """As 3DGAN, but for the latent vector."""

    latent_size: PositiveInt = 1024


class Trilinear(nn.Module):
    """Upsamples (B, C, X, Y, Z) by ``factor``, linear between the voxels' middles."""

    def __init__(self, factor: tuple[int, int, int]) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The first and the last voxels of every axis stay what they are."""
        size = [n * f for n, f in zip(x.shape[2:], self.factor, strict=True)]
        return F.interpolate(x, size=size, mode="trilinear", align_corners=True)

    def infer(self, image: torch.Tensor) -> torch.Tensor:
        """The same for (B, X, Y, Z, C), by one matrix product for each axis."""
        for axis, factor in enumerate(self.factor, start=1):
            weights = self._weights(image.shape[axis], factor).to(image)
            image = (image.movedim(axis, -1) @ weights).movedim(-1, axis)
        return image

    @staticmethod
    def _weights(size: int, factor: int) -> torch.Tensor:
        """(size, size * factor): how much of each voxel is in each of the finer ones."""
        place = torch.linspace(0, size - 1, size * factor, dtype=torch.float64)
        distance = (place - torch.arange(size, dtype=torch.float64)[:, None]).abs()
        return (1.0 - distance).clamp(min=0.0)


class TriforceGenerator(TaggedGenerator):
    """Latent vector (B, latent) times E -> image (B, 1, 25, 25, 25)."""

    def __init__(self, latent_size: int = 1024, classes: int = 0) -> None:
        super().__init__(latent_size, classes)
        self.dense = nn.Linear(latent_size, 8 * 7 * 7 * 8)
        first = nn.Conv3d(8, 64, (6, 6, 8))
        second = nn.Conv3d(64, 6, (6, 5, 8))
        third = nn.Conv3d(6, 6, (3, 3, 8))
        last = nn.Conv3d(6, 1, (2, 2, 2))
        self.first = nn.Sequential(
            ZeroPad3d((2, 2, 3)), first, nn.LeakyReLU(SLOPE), nn.BatchNorm3d(64)
        )
        self.twice = Trilinear((2, 2, 2))
        self.second = nn.Sequential(ZeroPad3d((3, 3, 1)), second, nn.LeakyReLU(SLOPE))
        self.again = Trilinear((2, 2, 3))
        self.third = nn.Sequential(
            ZeroPad3d((1, 0, 3)), third, nn.LeakyReLU(SLOPE), last, nn.ReLU()
        )
        initialise([self.dense, last], "glorot_uniform")
        initialise([first, second, third], "he_uniform")
        channels_last(self)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Energies of the cells, never negative."""
        seed = self.dense(latent).reshape(-1, 8, 7, 7, 8)
        image = self.second(self.twice(self.first(seed)))
        finer: torch.Tensor = self.third(self.again(image))
        return finer.float()

    def infer(self, latent: torch.Tensor) -> torch.Tensor:
        """The image with the running means, by matrix products, in the dtype of ``latent``."""
        weight, bias = self.dense.weight.to(latent.dtype), self.dense.bias.to(latent.dtype)
        seed = (latent @ weight.T + bias).reshape(-1, 8, 7, 7, 8).permute(0, 2, 3, 4, 1)
        image = self.twice.infer(matmul3d.run(self.first, seed))
        image = self.again.infer(matmul3d.run(self.second, image))
        return matmul3d.run(self.third, image).permute(0, 4, 1, 2, 3)


class TriforceGAN(FixedAngle):
    """Triforce's GAN for 25 x 25 x 25 cells and normal incidence."""

    kind = "triforce-gan"
    config_class = TriforceGANConfig

    generator: TriforceGenerator
    discriminator: Discriminator

    def _make_networks(self) -> None:
        classes = len(self.config.classes)
        self.generator = TriforceGenerator(self.config.latent_size, classes)
        self.discriminator = Discriminator(classes)
