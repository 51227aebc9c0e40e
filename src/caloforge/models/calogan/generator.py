"""CaloGAN's generator, layer by layer as published: 29,726,280 trainable parameters.

Source: M. Paganini, L. de Oliveira, B. Nachman, "CaloGAN: Simulating 3D high energy particle
showers in multilayer electromagnetic calorimeters with generative adversarial networks",
Phys. Rev. D 97 (2018) 014021, and its public code (hep-lbdl/CaloGAN).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from caloforge.models.acgan import ClassEmbedding
from caloforge.models.calogan.attention import InPainting
from caloforge.models.keras import initialise
from caloforge.models.keras2d import BatchNormalization, Conv2D, LeakyReLU, Pair
from caloforge.models.locally_connected import LocallyConnected2D

CHANNELS = 36


class LayerGenerator(nn.Module):
    """One calorimeter layer: latent vector (B, latent) -> image (B, X, Y, 1), not yet positive."""

    def __init__(self, latent_size: int, shape: Pair) -> None:
        super().__init__()
        x, y = shape
        self.seed = (x + 2, y + 2)
        self.dense = nn.Linear(latent_size, (x + 2) * (y + 2) * CHANNELS)
        self.body = nn.Sequential(
            Conv2D((CHANNELS, 16), (2, 2), how="he_uniform"),
            LeakyReLU(),
            BatchNormalization(16),
            LocallyConnected2D((x + 2, y + 2), (16, 6), (2, 2), how="he_uniform"),
            LeakyReLU(),
            LocallyConnected2D((x + 1, y + 1), (6, 1), (2, 2), bias=False, how="glorot_normal"),
        )
        initialise([self.dense], "glorot_uniform")

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Energies in GeV before the final ReLU."""
        image: torch.Tensor = self.body(self.dense(latent).reshape(-1, *self.seed, CHANNELS))
        return image


class Generator(nn.Module):
    """All layers, each looking at the one before it where ``attention`` is on.

    Args:
        latent_size: of the latent vector.
        shapes: cells along (x, y) of every layer.
        attention: whether layers are in-painted from the layers before.
        classes: number of particles; one kind, whatever it is, for less than two.
    """

    def __init__(
        self, latent_size: int, shapes: Sequence[Pair], attention: bool = True, classes: int = 0
    ) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(classes, latent_size) if classes > 1 else None
        self.layers = nn.ModuleList(LayerGenerator(latent_size, shape) for shape in shapes)
        links = pairwise(shapes) if attention else ()
        self.attention = nn.ModuleList(InPainting(before, shape) for before, shape in links)

    def forward(
        self, noise: torch.Tensor, energy: torch.Tensor, classes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Showers.

        Args:
            noise: (B, latent).
            energy: (B,) in 100 GeV.
            classes: (B, classes) weights of the particles, one being 1.

        Returns:
            (B, n_cells) GeV, never negative.
        """
        latent = noise if self.embedding is None else noise * self.embedding(classes)
        latent = latent * energy[:, None]
        images = [layer(latent) for layer in self.layers]
        for number, attention in enumerate(self.attention, start=1):
            images[number] = attention(images[number], images[number - 1])
        cells = torch.cat([image.flatten(1) for image in images], dim=1)
        return torch.relu(cells.to(torch.promote_types(cells.dtype, torch.float32)))
