"""The two networks of LAGAN, layer by layer as published.

Generator 3,586,932 and discriminator 1,398,786 trainable parameters. Images are (B, 25, 25, 1) in
units of 100 GeV of transverse momentum. The public code is of Keras 1, so are the first weights of
the locally connected layers.

Source: L. de Oliveira, M. Paganini, B. Nachman, "Learning Particle Physics by Example:
Location-Aware Generative Adversarial Networks for Physics Synthesis", Comput. Softw. Big Sci. 1
(2017) 4, and its public code (hep-lbdl/adversarial-jets).
"""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models.acgan import ClassEmbedding, class_head
from caloforge.models.keras import Dropout, initialise
from caloforge.models.keras2d import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    LeakyReLU,
    UpSampling2D,
    ZeroPadding2D,
)
from caloforge.models.locally_connected import LocallyConnected2D
from caloforge.models.minibatch import MinibatchDiscrimination

SIZE = 25
"""Cells along eta and phi."""

CLASSES = 2


class Generator(nn.Module):
    """Noise (B, latent) and weights of the classes (B, 2) -> image (B, 25, 25, 1)."""

    def __init__(self, latent_size: int = 200) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(CLASSES, latent_size)
        self.dense = nn.Linear(latent_size, 7 * 7 * 128)
        self.body = nn.Sequential(
            Conv2D((128, 64), (5, 5), how="he_uniform"),
            LeakyReLU(),
            BatchNormalization(64),
            UpSampling2D((2, 2)),
            ZeroPadding2D((2, 2)),
            LocallyConnected2D((18, 18), (64, 6), (5, 5), how="he_uniform", which="keras1"),
            LeakyReLU(),
            BatchNormalization(6),
            UpSampling2D((2, 2)),
            LocallyConnected2D((28, 28), (6, 6), (3, 3), how="he_uniform", which="keras1"),
            LeakyReLU(),
            LocallyConnected2D(
                (26, 26), (6, 1), (2, 2), bias=False, how="glorot_normal", which="keras1"
            ),
        )
        initialise([self.dense], "glorot_uniform")

    def forward(self, noise: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Transverse momenta of the cells in 100 GeV, never negative."""
        latent = noise * self.embedding(classes)
        image: torch.Tensor = self.body(self.dense(latent).reshape(-1, 7, 7, 128))
        return torch.relu(image.to(torch.promote_types(image.dtype, torch.float32)))


class Discriminator(nn.Module):
    """Image (B, 25, 25, 1) -> logits of real/fake (B,) and of the second class (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        shape = (SIZE, SIZE)
        blocks: list[nn.Module] = [Conv2D((1, 32), (5, 5)), LeakyReLU(), Dropout(0.2)]
        channels = 32
        for kernel, step in ((5, 2), (5, 1), (3, 2)):
            pad = kernel // 2
            padded = (shape[0] + 2 * pad, shape[1] + 2 * pad)
            layer = LocallyConnected2D(
                padded, (channels, 8), (kernel, kernel), (step, step), which="keras1"
            )
            blocks += [ZeroPadding2D((pad, pad)), layer, LeakyReLU()]
            blocks += [BatchNormalization(8), Dropout(0.2)]
            shape, channels = layer.shape, 8
        self.body = nn.Sequential(*blocks, AveragePooling2D((2, 2)))
        flat = (shape[0] // 2) * (shape[1] // 2) * channels
        self.likeness = MinibatchDiscrimination(flat, features=20, dimension=10, which="keras1")
        self.real = nn.Linear(20 + flat, 1)
        self.classes = class_head(20 + flat, CLASSES)
        initialise([self.real], "glorot_uniform")

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The two heads; both are logits (no sigmoid)."""
        flat = self.body(image).flatten(1).float()
        with torch.autocast(flat.device.type, enabled=False):
            features = torch.cat([self.likeness(flat), flat], dim=1)
            return self.real(features)[:, 0], self.classes(features)
