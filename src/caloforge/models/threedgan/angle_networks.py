"""The two networks of the variable-angle 3DGAN, layer by layer as published.

Generator 1,364,983 and discriminator 87,354 trainable parameters, as Keras counts them: with the
scales and shifts of batch normalisation, without its running means and variances. Images are
(B, 1, 51, 51, 25) in network units. As in the published data, showers tilt along the second of the
image's axes: that is our x, and the first one is our y.

Source: G. Khattak, S. Vallecorsa, F. Carminati, M. Khan, Eur. Phys. J. C 82 (2022) 386, and its
public code (svalleco/3Dgan, Anglegan).
"""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models import matmul3d
from caloforge.models.keras import (
    Dropout,
    LeakyReLU,
    SamePad3d,
    UpSampling3D,
    ZeroPad3d,
    batch_norm,
    channels_last,
    initialise,
)
from caloforge.models.threedgan.bin_counts import BinCounts
from caloforge.models.threedgan.measured_angle import MeasuredAngle
from caloforge.models.threedgan.particle_tag import TaggedGenerator

IMAGE_SHAPE = (51, 51, 25)

AT_ONCE = 1
"""Showers that are inferred together: one alone has layers larger than any cache."""

FEATURES = 19_152


class AngleGenerator(TaggedGenerator):
    """(E, theta, noise) (B, latent) -> image (B, 1, 51, 51, 25).

    With ``classes`` the particle's vector goes with the noise, ``latent_size - 2`` numbers.
    """

    def __init__(self, latent_size: int = 256, classes: int = 0) -> None:
        super().__init__(latent_size - 2, classes)
        self.dense = nn.Linear(latent_size, 9 * 9 * 8 * 8)
        layers: list[nn.Module] = [UpSampling3D((6, 6, 6))]
        convolutions: list[nn.Module] = []
        channels = 8
        blocks = [((0, 0, 0), 8, (6, 6, 8))] + 3 * [((2, 2, 1), 6, (4, 4, 6))]
        for padding, filters, kernel in [*blocks, ((1, 1, 0), 6, (3, 3, 5))]:
            convolution = nn.Conv3d(channels, filters, kernel)
            convolutions.append(convolution)
            pad = [ZeroPad3d(padding)] if any(padding) else []
            layers += [*pad, convolution, nn.ReLU(), batch_norm(filters, epsilon=1e-6)]
            channels = filters
        sixth = nn.Conv3d(6, 6, (3, 3, 3))
        self.body = nn.Sequential(*layers, ZeroPad3d((1, 1, 0)), sixth, nn.ReLU())
        self.last = nn.Conv3d(6, 1, (2, 2, 2))
        initialise([self.dense], "glorot_uniform")
        initialise([*convolutions, sixth], "he_uniform")
        initialise([self.last], "glorot_normal")
        channels_last(self)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Numbers of the cells, never negative."""
        seed = self.dense(latent).reshape(-1, 9, 9, 8, 8).permute(0, 4, 1, 2, 3)
        image: torch.Tensor = self.last(self.body(seed))
        return torch.relu(image.float())

    def infer(self, latent: torch.Tensor) -> torch.Tensor:
        """The same image with the running means, by matrix products, in the dtype of ``latent``."""
        if torch.compiler.is_exporting():
            return self._infer(latent)
        return torch.cat([self._infer(some) for some in torch.split(latent, AT_ONCE)])

    def _infer(self, latent: torch.Tensor) -> torch.Tensor:
        weight, bias = self.dense.weight.to(latent.dtype), self.dense.bias.to(latent.dtype)
        seed = (latent @ weight.T + bias).reshape(-1, 9, 9, 8, 8)
        image = matmul3d.convolve(matmul3d.run(self.body, seed), self.last)
        return torch.relu(image).permute(0, 4, 1, 2, 3)


class AngleDiscriminator(nn.Module):
    """Image (B, 1, 51, 51, 25) -> real/fake logit, E (in 100 GeV), theta (rad), sum(ECAL).

    (B,) each. Angle and sum are measured on the cells' energies, that is on image^(1 / power). The
    counts of cells (B, 8) follow if ``bins`` are given, and the logits of the particles
    (B, classes) if there are ``classes``.
    """

    def __init__(
        self, angle: MeasuredAngle, power: float, bins: BinCounts | None = None, classes: int = 0
    ) -> None:
        super().__init__()
        self.angle, self.bins = angle, bins
        self.power = power
        first = nn.Conv3d(1, 16, (5, 6, 6))
        layers: list[nn.Module] = [SamePad3d((5, 6, 6)), first, LeakyReLU(), Dropout(0.2)]
        convolutions: list[nn.Module] = [first]
        for channels, padding in ((16, 1), (8, 1), (8, 0)):
            convolution = nn.Conv3d(channels, 8, (5, 6, 6), padding=(0, 0, padding))
            convolutions.append(convolution)
            layers += [convolution, LeakyReLU(), batch_norm(8), Dropout(0.2)]
        self.features = nn.Sequential(*layers, nn.AvgPool3d(2))
        self.real = nn.Linear(FEATURES, 1)
        self.energy = nn.Linear(FEATURES, 1)
        self.particle = nn.Linear(FEATURES, classes) if classes else None
        heads = [head for head in (self.real, self.energy, self.particle) if head is not None]
        initialise([*convolutions, *heads], "glorot_uniform")
        channels_last(self)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The heads; the first is a logit (no sigmoid)."""
        features = self.features(image.contiguous(memory_format=torch.channels_last_3d))
        flat = features.permute(0, 2, 3, 4, 1).flatten(1).float()
        with torch.autocast(image.device.type, enabled=False):
            energy = image.float() ** (1.0 / self.power)
            return (
                self.real(flat).squeeze(1),
                self.energy(flat).squeeze(1),
                self.angle(energy),
                energy.sum(dim=(1, 2, 3, 4)),
                *(() if self.bins is None else (self.bins(image.float()),)),
                *(() if self.particle is None else (self.particle(flat),)),
            )
