"""3DGAN's published training loop, ported to PyTorch as it stands: what ours is timed against.

The same networks, losses and order of steps (discriminator on real showers, on fakes, generator
twice), written with torch's own layers and defaults: images in torch's memory order, float32,
torch's dropout, one batch after the other.

Source: see :mod:`caloforge.models.threedgan.fixed_networks`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

LOSS_WEIGHTS = (2.0, 0.1, 0.1)
LABEL_FLIPS = 0.05
EXPECTED_SUM = (0.0018, -0.023, 0.11, -0.28, 2.21)


def _batch_norm(channels: int) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.01)


class PlainGenerator(nn.Module):
    """Latent vector (B, 200) times E -> image (B, 1, 25, 25, 25)."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(200, 8 * 7 * 7 * 8)
        self.body = nn.Sequential(
            nn.ConstantPad3d((3, 4, 2, 3, 2, 3), 0.0),
            nn.Conv3d(8, 64, (6, 6, 8)),
            nn.LeakyReLU(0.3),
            _batch_norm(64),
            nn.Upsample(scale_factor=(2, 2, 2)),
            nn.ConstantPad3d((0, 0, 2, 2, 2, 2), 0.0),
            nn.Conv3d(64, 6, (6, 5, 8)),
            nn.LeakyReLU(0.3),
            _batch_norm(6),
            nn.Upsample(scale_factor=(2, 2, 3)),
            nn.ConstantPad3d((3, 3, 0, 0, 1, 1), 0.0),
            nn.Conv3d(6, 6, (3, 3, 8)),
            nn.LeakyReLU(0.3),
            nn.Conv3d(6, 1, (2, 2, 2), bias=False),
            nn.ReLU(),
        )

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Energies of the cells."""
        image: torch.Tensor = self.body(self.dense(latent).view(-1, 8, 7, 7, 8))
        return image


class PlainDiscriminator(nn.Module):
    """Image (B, 1, 25, 25, 25) -> real or fake, E and sum, each (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv3d(1, 32, 5, padding=2), nn.LeakyReLU(0.3)]
        layers.append(nn.Dropout(0.2))
        for channels, padding in ((32, 2), (8, 2), (8, 1)):
            layers += [nn.Conv3d(channels, 8, 5, padding=padding), nn.LeakyReLU(0.3)]
            layers += [_batch_norm(8), nn.Dropout(0.2)]
        self.features = nn.Sequential(*layers, nn.AvgPool3d(2), nn.Flatten())
        self.real = nn.Linear(10648, 1)
        self.energy = nn.Linear(10648, 1)

    def forward(self, image: torch.Tensor) -> Heads:
        """The three heads."""
        features = self.features(image)
        total = image.sum(dim=(2, 3, 4))
        return torch.sigmoid(self.real(features)), self.energy(features), total


class PlainThreeDGAN:
    """The two networks and their training step."""

    def __init__(self) -> None:
        self.generator, self.discriminator = PlainGenerator(), PlainDiscriminator()
        self._optimizers = [
            torch.optim.RMSprop(network.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
            for network in (self.generator, self.discriminator)
        ]

    def step(self, image: torch.Tensor, energy: torch.Tensor) -> list[float]:
        """One step on images (B, 1, 25, 25, 25) and E (B, 1); the four losses."""
        of_generator, of_discriminator = self._optimizers
        losses = [self._learn(of_discriminator, image, energy, image.sum(dim=(2, 3, 4)), True)]
        drawn, latent = self._draw(len(image))
        with torch.no_grad():
            self.generator.eval()
            fake = self.generator(latent)
            self.generator.train()
        losses.append(self._learn(of_discriminator, fake, drawn, expected_sum(drawn), False))
        for _ in range(2):
            drawn, latent = self._draw(len(image))
            self.discriminator.requires_grad_(False)
            fake = self.generator(latent)
            losses.append(self._learn(of_generator, fake, drawn, expected_sum(drawn), True, 0.0))
            self.discriminator.requires_grad_(True)
        return losses

    def _learn(
        self,
        optimizer: torch.optim.Optimizer,
        image: torch.Tensor,
        energy: torch.Tensor,
        total: torch.Tensor,
        real: bool,
        flips: float = LABEL_FLIPS,
    ) -> float:
        heads = self.discriminator(image)
        label = torch.full_like(heads[0], float(real))
        label = torch.where(torch.rand_like(label) < flips, 1.0 - label, label)
        loss = loss_of(heads, label, energy, total)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    @staticmethod
    def _draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        energy = torch.empty(n, 1).uniform_(0.1, 5.0)
        return energy, energy * torch.randn(n, 200)


def loss_of(
    heads: Heads, label: torch.Tensor, energy: torch.Tensor, total: torch.Tensor
) -> torch.Tensor:
    """The weighted loss of the three heads."""
    real = F.binary_cross_entropy(heads[0], label)
    parts = real, _percentage(energy, heads[1]), _percentage(total, heads[2])
    return torch.stack([w * part for w, part in zip(LOSS_WEIGHTS, parts, strict=True)]).sum()


def _percentage(target: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    return 100.0 * ((target - predicted).abs() / target.abs().clamp(min=1e-7)).mean()


def expected_sum(energy: torch.Tensor) -> torch.Tensor:
    """sum(ECAL) in network units for E."""
    value = torch.zeros_like(energy)
    for coefficient in EXPECTED_SUM:
        value = value * energy + coefficient
    return value * energy * 100.0
