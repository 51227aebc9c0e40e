"""The 2-D GAN with its published losses.

The step, the heads and the conditions are those of the fixed-angle 3DGAN. Different are: the
weights 6, 0.2, 0.1 of the losses; labels of 0.9 for what is real, flipped in the generator's steps,
too; Adam with 5e-4 for the generator and 1e-4 for the discriminator; cells in GeV; and the
generator's last ReLU, which comes in after two epochs.

The public code calls its networks without telling Keras that it is training, so that there dropout
does nothing and batch normalisation keeps its initial statistics, and it begins a new Adam in every
step. Here these layers and Adam work as they are meant to.

Source: see :mod:`caloforge.models.twodgan.networks`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.models.base import ModelConfig, TrainingBatch, Update
from caloforge.models.threedgan.fixed import FixedAngle, ThreeDGANConfig
from caloforge.models.twodgan.networks import PlanarDiscriminator, PlanarGenerator


class TwoDGANConfig(ThreeDGANConfig):
    """The published values are the defaults."""

    width: float = Field(default=1.0, gt=0.0)
    """Filters of the convolutions over the published ones: 0.22 makes a generator with a sixth of
    the parameters of 3DGAN's."""
    scale: PositiveFloat = 1.0
    learning_rate: PositiveFloat = 5e-4
    """Of the generator."""
    discriminator_rate: PositiveFloat = 1e-4
    loss_weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (6.0, 0.2, 0.1)
    linear_steps: NonNegativeInt = 2800
    """Steps before the generator's last ReLU comes in: two epochs of 180,000 showers."""


class TwoDGAN(FixedAngle):
    """GAN of 2-D convolutions for 25 x 25 x 25 cells and normal incidence."""

    kind = "2dgan"
    config_class = TwoDGANConfig
    in_parts = False  # counts its steps
    real_label = 0.9
    flips_for_generator = True

    generator: PlanarGenerator
    discriminator: PlanarDiscriminator

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, TwoDGANConfig)
        self.config: TwoDGANConfig = config
        self.done: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """Steps of the training so far."""

    def _make_networks(self) -> None:
        assert isinstance(self.config, TwoDGANConfig)
        classes, width = len(self.config.classes), self.config.width
        self.generator = PlanarGenerator(self.config.latent_size, width, classes)
        self.discriminator = PlanarDiscriminator(width, classes)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        return {
            "discriminator": _adam(self.discriminator.parameters(), self.config.discriminator_rate),
            "generator": _adam(self.generator.parameters(), self.config.learning_rate),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """The step of the lineage, at first without the generator's last ReLU."""
        self.generator.rectified = int(self.done) >= self.config.linear_steps
        self.done += 1
        try:
            return super().training_step(batch, update)
        finally:
            self.generator.rectified = True


def _adam(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Adam:
    """Adam with Keras' epsilon."""
    return torch.optim.Adam(parameters, rate, eps=1e-7)
