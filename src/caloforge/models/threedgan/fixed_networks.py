"""The two networks of the fixed-angle 3DGAN, layer by layer as published.

Generator 872,808 and discriminator 73,402 trainable parameters. Images are (B, 1, x, y, depth)
in network units (100 x GeV). Tensors are kept channels-last, as in Keras: the flattened orders
agree with the published weights, and it is the faster layout on CPUs.

Source: G. Khattak, S. Vallecorsa, F. Carminati, M. Khan, Eur. Phys. J. C 82 (2022) 386, and its
public code (svalleco/3Dgan).
"""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models import matmul3d
from caloforge.models.keras import (
    AveragePooling3D,
    Dropout,
    LeakyReLU,
    SamePad3d,
    UpSampling3D,
    ZeroPad3d,
    batch_norm,
    channels_last,
    initialise,
)
from caloforge.models.threedgan.particle_tag import TaggedGenerator

IMAGE_SHAPE = (25, 25, 25)


class Generator(TaggedGenerator):
    """Latent vector (B, latent) times E -> image (B, 1, 25, 25, 25)."""

    def __init__(self, latent_size: int = 200, classes: int = 0) -> None:
        super().__init__(latent_size, classes)
        self.dense = nn.Linear(latent_size, 7 * 7 * 8 * 8)
        first = nn.Conv3d(8, 64, (6, 6, 8))
        second = nn.Conv3d(64, 6, (6, 5, 8))
        third = nn.Conv3d(6, 6, (3, 3, 8))
        self.body = nn.Sequential(
            SamePad3d((6, 6, 8)),
            first,
            LeakyReLU(),
            batch_norm(64),
            UpSampling3D((2, 2, 2)),
            ZeroPad3d((2, 2, 0)),
            second,
            LeakyReLU(),
            batch_norm(6),
            UpSampling3D((2, 2, 3)),
            ZeroPad3d((1, 0, 3)),
            third,
            LeakyReLU(),
        )
        self.last = nn.Conv3d(6, 1, (2, 2, 2), bias=False)
        initialise([self.dense], "glorot_uniform")
        initialise([first, second, third], "he_uniform")
        initialise([self.last], "glorot_normal")
        channels_last(self)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Energies of the cells, never negative."""
        seed = self.dense(latent).reshape(-1, 7, 7, 8, 8).permute(0, 4, 1, 2, 3)
        image: torch.Tensor = self.last(self.body(seed))
        return torch.relu(image.float())

    def infer(self, latent: torch.Tensor) -> torch.Tensor:
        """The same image with the running means, by matrix products, in the dtype of ``latent``.

        See :mod:`caloforge.models.matmul3d` for why.
        """
        weight, bias = self.dense.weight.to(latent.dtype), self.dense.bias.to(latent.dtype)
        seed = (latent @ weight.T + bias).reshape(-1, 7, 7, 8, 8)
        image = matmul3d.convolve(matmul3d.run(self.body, seed), self.last)
        return torch.relu(image).permute(0, 4, 1, 2, 3)


class Discriminator(nn.Module):
    """Image (B, 1, 25, 25, 25) -> real/fake logit, E (in 100 GeV) and sum(ECAL), each (B,).

    With ``classes`` the logits of the particles (B, classes) follow.
    """

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        first = nn.Conv3d(1, 32, (5, 5, 5))
        layers: list[nn.Module] = [SamePad3d((5, 5, 5)), first, LeakyReLU(), Dropout(0.2)]
        convolutions: list[nn.Module] = [first]
        for channels, padding in ((32, 2), (8, 2), (8, 1)):
            convolution = nn.Conv3d(channels, 8, (5, 5, 5), padding=padding)
            convolutions.append(convolution)
            layers += [convolution, LeakyReLU(), batch_norm(8), Dropout(0.2)]
        self.features = nn.Sequential(*layers, AveragePooling3D(2))
        self.real = nn.Linear(10648, 1)
        self.energy = nn.Linear(10648, 1)
        self.particle = nn.Linear(10648, classes) if classes else None
        heads = [head for head in (self.real, self.energy, self.particle) if head is not None]
        initialise([*convolutions, *heads], "glorot_uniform")
        channels_last(self)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The heads; the first is a logit (no sigmoid)."""
        features = self.features(image.contiguous(memory_format=torch.channels_last_3d))
        flat = features.permute(0, 2, 3, 4, 1).flatten(1).float()
        with torch.autocast(image.device.type, enabled=False):
            return (
                self.real(flat).squeeze(1),
                self.energy(flat).squeeze(1),
                image.float().sum(dim=(1, 2, 3, 4)),
                *(() if self.particle is None else (self.particle(flat),)),
            )
