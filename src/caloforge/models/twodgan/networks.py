"""The two networks of the 2-D GAN: one path of 2-D convolutions for every axis of the image.

In a path one axis of the image is the channels. The paths see the image with its axes turned, their
results are turned back and put together. Generator 2,053,446 and discriminator 712,888 trainable
parameters at the published width: more than the 3-D networks have, as the paper says, but 2-D
convolutions are faster. Images are (B, 1, 25, 25, 25) in GeV.

Source: F. Rehm, S. Vallecorsa, K. Borras, D. Kruecker, arXiv:2105.08960, and its public code
(svalleco/3Dgan, Reduced-cost: 2DGAN, PTF_m4_1_ReLU).
"""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models import matmul3d
from caloforge.models.keras import (
    ConvTranspose2d,
    Dropout,
    LeakyReLU,
    SamePad2d,
    batch_norm_2d,
    initialise,
)
from caloforge.models.threedgan.particle_tag import TaggedGenerator

IMAGE = 25
SEED = 5
"""Cells along an axis of the finished image, and of the one that the paths start from."""

TURNED = ((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1))
BACK = ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))
"""The axes of the image in each of the paths, and the way back."""


def scaled(filters: int, width: float) -> int:
    """``width`` times the published number of filters, at least one."""
    return max(1, round(filters * width))


class _Layers:
    """Collects the layers of a path: convolution, LeakyReLU, batch normalisation, dropout."""

    def __init__(self, channels: int, width: float) -> None:
        self.channels, self.width = channels, width
        self.layers: list[nn.Module] = []

    def block(self, filters: int, kernel: int, *, same: bool, exact: bool = False) -> None:
        """``exact``: this number of filters, whatever the width."""
        filters = filters if exact else scaled(filters, self.width)
        convolution = nn.Conv2d(self.channels, filters, kernel, bias=False)
        initialise([convolution], "he_uniform" if self.layers else "glorot_uniform")
        pad = [SamePad2d((kernel, kernel))] if same else []
        self.layers += [*pad, convolution, LeakyReLU(), batch_norm_2d(filters), Dropout(0.2)]
        self.channels = filters

    def upsample(self, filters: int, stride: int) -> None:
        """A transposed convolution of 5 x 5."""
        layer = ConvTranspose2d(self.channels, scaled(filters, self.width), 5, stride)
        initialise([layer], "glorot_uniform")
        self.layers.append(layer)
        self.channels = layer.out_channels

    def path(self) -> nn.Sequential:
        return nn.Sequential(*self.layers)


def _generator_path(width: float) -> nn.Sequential:
    """(B, 5, 5, 5) -> (B, 25, 25, 25)."""
    layers = _Layers(SEED, width)
    layers.block(32, 5, same=True)
    layers.upsample(64, 3)
    layers.block(64, 5, same=True)
    layers.upsample(64, 2)
    layers.block(64, 8, same=True)
    layers.block(64, 5, same=False)
    layers.block(32, 4, same=True)
    layers.block(32, 3, same=True)
    layers.block(IMAGE, 2, same=False, exact=True)
    return layers.path()


def _discriminator_path(width: float) -> nn.Sequential:
    """(B, 25, 25, 25) -> (B, 9, 9, 9)."""
    layers = _Layers(IMAGE, width)
    layers.block(64, 8, same=True)
    for kernel in (6, 5, 4, 3):
        layers.block(32, kernel, same=False)
    layers.block(9, 3, same=False, exact=True)
    return layers.path()


class PlanarGenerator(TaggedGenerator):
    """Latent vector (B, latent) times E -> image (B, 1, 25, 25, 25).

    The first steps of a training go without the last ReLU (``rectified`` False).
    """

    def __init__(self, latent_size: int = 200, width: float = 1.0, classes: int = 0) -> None:
        super().__init__(latent_size, classes)
        self.rectified = True
        self.dense = nn.Linear(latent_size, SEED**3)
        self.paths = nn.ModuleList(_generator_path(width) for _ in TURNED)
        last = nn.Conv2d(len(TURNED) * IMAGE, IMAGE, 3, bias=False)
        self.last = nn.Sequential(SamePad2d((3, 3)), last)
        initialise([self.dense], "glorot_uniform")
        initialise([last], "he_uniform")

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Energies of the cells; never negative, unless not ``rectified``."""
        seed = self.dense(latent).reshape(-1, SEED, SEED, SEED)
        turns = zip(self.paths, TURNED, BACK, strict=True)
        stacked = torch.cat([path(seed.permute(to)).permute(back) for path, to, back in turns], 1)
        image = self.last(stacked).float()
        return (torch.relu(image) if self.rectified else image)[:, None]

    def infer(self, latent: torch.Tensor) -> torch.Tensor:
        """The image with the running means, by matrix products, in the dtype of ``latent``."""
        weight, bias = self.dense.weight.to(latent.dtype), self.dense.bias.to(latent.dtype)
        seed = (latent @ weight.T + bias).reshape(-1, SEED, SEED, SEED)
        parts = []
        for path, to, back in zip(self.paths, TURNED, BACK, strict=True):
            parts.append(_run(path, seed.permute(to)).permute(back))
        return torch.relu(_run(self.last, torch.cat(parts, dim=1)))[:, None]


def _run(layers: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Layers by matrix products, channels first as in torch: (B, C, X, Y) -> (B, C', X', Y')."""
    assert isinstance(layers, nn.Sequential)
    made = matmul3d.run(layers, image.permute(0, 2, 3, 1)[:, :, :, None])
    return made[:, :, :, 0].permute(0, 3, 1, 2)


class PlanarDiscriminator(nn.Module):
    """Image (B, 1, 25, 25, 25) -> real/fake logit, E (in 100 GeV) and sum(ECAL), each (B,).

    With ``classes`` the logits of the particles (B, classes) follow.
    """

    def __init__(self, width: float = 1.0, classes: int = 0) -> None:
        super().__init__()
        self.paths = nn.ModuleList(_discriminator_path(width) for _ in TURNED)
        self.dense = nn.Linear(len(TURNED) * 9**3, 10)
        self.norm = nn.BatchNorm1d(10, eps=1e-3, momentum=0.01)
        self.activation = LeakyReLU()
        self.real = nn.Linear(10, 1)
        self.energy = nn.Linear(10, 1)
        self.particle = nn.Linear(10, classes) if classes else None
        heads = [head for head in (self.real, self.energy, self.particle) if head is not None]
        initialise([self.dense, *heads], "glorot_uniform")

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The heads; the first is a logit (no sigmoid)."""
        turns = zip(self.paths, TURNED, BACK, strict=True)
        parts = [path(image[:, 0].permute(to)).permute(back) for path, to, back in turns]
        flat = torch.cat(parts, dim=1).flatten(1).float()
        with torch.autocast(image.device.type, enabled=False):
            features = self.norm(self.activation(self.dense(flat)))
            return (
                self.real(features).squeeze(1),
                self.energy(features).squeeze(1),
                image.float().sum(dim=(1, 2, 3, 4)),
                *(() if self.particle is None else (self.particle(features),)),
            )
