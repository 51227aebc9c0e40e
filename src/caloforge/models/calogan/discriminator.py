"""CaloGAN's discriminator, layer by layer as published: 2,743,632 trainable parameters.

Source: see :mod:`caloforge.models.calogan.generator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from caloforge.models.acgan import class_head
from caloforge.models.keras import initialise
from caloforge.models.keras2d import BatchNormalization, Conv2D, LeakyReLU, Pair, ZeroPadding2D
from caloforge.models.locally_connected import LocallyConnected2D
from caloforge.models.minibatch import MinibatchDiscrimination

TOO_FAR = 5.0
"""GeV between visible and requested energy from which a shower gets a flag of its own."""


class Verdict(NamedTuple):
    """What the discriminator says of every shower."""

    real: torch.Tensor
    """(B,) logit: real or fake."""
    total: torch.Tensor
    """(B,) visible energy in GeV."""
    classes: torch.Tensor | None
    """(B, 1) or (B, classes) logits of the particle."""


class LayerFeatures(nn.Module):
    """What of one layer's image the discriminator looks at: ``size`` numbers per shower."""

    def __init__(self, shape: Pair) -> None:
        super().__init__()
        self.first = nn.Sequential(Conv2D((1, 64), (2, 2)), LeakyReLU())
        blocks: list[nn.Module] = []
        channels = 64
        for filters, kernel, strides in ((16, 3, (1, 2)), (8, 2, (1, 1)), (8, 2, (1, 2))):
            padded = (shape[0] + 2, shape[1] + 2)
            layer = LocallyConnected2D(padded, (channels, filters), (kernel, kernel), strides)
            blocks += [ZeroPadding2D((1, 1)), layer, LeakyReLU(), BatchNormalization(filters)]
            shape, channels = layer.shape, filters
        self.body = nn.Sequential(*blocks)
        flat = shape[0] * shape[1] * channels
        self.likeness = MinibatchDiscrimination(flat)
        self.sparsity_likeness = MinibatchDiscrimination(1)
        self.size = flat + 21

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, X, Y, 1) GeV -> (B, size)."""
        flat = self.body(self.first(image)).flatten(1).float()
        sparsity = (image > 0).float().mean(dim=(1, 2))
        likeness = torch.tanh(self.likeness(flat))
        sparsity_likeness = torch.tanh(self.sparsity_likeness(sparsity))
        return torch.cat([flat, likeness, sparsity, sparsity_likeness], dim=1)


class Discriminator(nn.Module):
    """Showers and the energy asked for -> :class:`Verdict`.

    Args:
        shapes: cells along (x, y) of every layer.
        classes: number of particles to tell apart; no such head for less than two.
    """

    def __init__(self, shapes: Sequence[Pair], classes: int = 0) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.layers = nn.ModuleList(LayerFeatures(shape) for shape in shapes)
        self.energy_likeness = MinibatchDiscrimination(len(self.shapes))
        sizes = [layer.size for layer in self.layers if isinstance(layer, LayerFeatures)]
        size = sum(sizes) + len(sizes) + 3 + 10
        self.real = nn.Linear(size, 1)
        self.classes = class_head(size, classes) if classes > 1 else None
        initialise([self.real], "glorot_uniform")

    def forward(self, cells: torch.Tensor, requested: torch.Tensor) -> Verdict:
        """(B, n_cells) and (B,), both in GeV; see :class:`Verdict`."""
        sizes = [x * y for x, y in self.shapes]
        parts = torch.split(cells, sizes, dim=1)
        features = [
            layer(part.reshape(-1, *shape, 1))
            for layer, part, shape in zip(self.layers, parts, self.shapes, strict=True)
        ]
        features += self._energies(parts, requested)
        total = cells.sum(dim=1)
        flat = torch.cat(features, dim=1)
        with torch.autocast(flat.device.type, enabled=False):
            classes = None if self.classes is None else self.classes(flat)
            return Verdict(self.real(flat)[:, 0], total, classes)

    def _energies(
        self, parts: Sequence[torch.Tensor], requested: torch.Tensor
    ) -> list[torch.Tensor]:
        """Layer energies, their sum, how far it is from the request, and their likeness."""
        layers = torch.stack([part.sum(dim=1) for part in parts], dim=1)
        total = layers.sum(dim=1, keepdim=True)
        miss = (total - requested[:, None]).abs()
        too_far = 10.0 * (miss > TOO_FAR).float()
        likeness = torch.tanh(self.energy_likeness(layers))
        return [layers / 10.0, total / 100.0, miss, too_far, likeness]
