"""The variable-angle 3DGAN with its published losses and training procedure.

The generator sees E = Ep / 100 GeV, theta and 254 normal numbers. Losses: binary cross entropy
(real/fake), mean absolute percentage error of the energy head, mean absolute error of the measured
angle (rad), and mean absolute percentage error of sum(ECAL), weighted 3, 0.1, 25, 0.1. RMSprop.
Cells enter as (50 x GeV)^0.85. A fake is asked for the energy, the angle and the sum of the real
shower that it is paired with. Showers with less than 0.2 GeV in all are left out of the training.
For the step see :mod:`caloforge.models.threedgan.adversarial`.

The published measured angle counts in cells and layers, and its training aims at the angle so
measured on the real image; here lengths are in mm, and it aims at the particle's own angle.

Source: see :mod:`caloforge.models.threedgan.angle_networks`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch.nn import functional as F

from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.models.base import Latent, ModelConfig, TrainingBatch, Update
from caloforge.models.keras import mean_absolute_percentage_error
from caloforge.models.precision import dtype_of
from caloforge.models.threedgan.adversarial import (
    ENERGY_UNIT,
    Adversarial,
    AdversarialConfig,
    Head,
    Targets,
)
from caloforge.models.threedgan.angle_networks import (
    IMAGE_SHAPE,
    AngleDiscriminator,
    AngleGenerator,
)
from caloforge.models.threedgan.bin_counts import BinCounts
from caloforge.models.threedgan.measured_angle import MeasuredAngle
from caloforge.preprocess import PowerScaling

GIVEN = 2
"""Numbers of the generator's input that are no noise: E and theta."""


class ThreeDGANAngleConfig(AdversarialConfig):
    """The published values are the defaults."""

    latent_size: int = Field(default=256, gt=GIVEN)
    """Numbers that the generator sees, E and theta among them."""
    scale: PositiveFloat = 50.0
    """Units per GeV of a cell, before the power; 50 is that of the published files."""
    power: PositiveFloat = 0.85
    loss_weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (
        3.0,
        0.1,
        25.0,
        0.1,
    )
    """Real/fake, energy, angle, sum(ECAL)."""
    bin_counts: bool = False
    """Whether the numbers of cells in eight ranges of energy are one more loss. The published code
    has it, without a gradient (:class:`~caloforge.models.threedgan.bin_counts.BinCounts`)."""
    bin_weight: NonNegativeFloat = 0.1
    least_sum: NonNegativeFloat = 0.2
    """GeV; real showers with less in all cells are left out."""


class ThreeDGANAngle(Adversarial):
    """3DGAN for 51 x 51 x 25 cells and particles at an angle."""

    kind = "3dgan-angle"
    config_class = ThreeDGANAngleConfig
    home = "lcd-ecal"
    columns = ("energy", "theta")
    image_shape = IMAGE_SHAPE

    generator: AngleGenerator
    discriminator: AngleDiscriminator

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, ThreeDGANAngleConfig)
        self.config: ThreeDGANAngleConfig = config
        self.scaling = PowerScaling(
            factor=config.scale, power=config.power, threshold=calorimeter.cell_threshold
        )
        classes = len(config.classes)
        self.bins = BinCounts(config.power) if config.bin_counts else None
        self.generator = AngleGenerator(config.latent_size, classes)
        self.discriminator = AngleDiscriminator(
            MeasuredAngle(calorimeter), config.power, self.bins, classes
        )
        self.real_weight, energy, angle, total = config.loss_weights
        self.heads = (
            Head("energy", mean_absolute_percentage_error, energy),
            Head("angle", F.l1_loss, angle),
            Head("sum", mean_absolute_percentage_error, total),
        )
        if self.bins is not None:
            self.heads += (Head("bins", mean_absolute_percentage_error, config.bin_weight),)
        self.heads += self._particle_head()

    @property
    def latent(self) -> Latent:
        """254 normal numbers."""
        return Latent(self.config.latent_size - GIVEN)

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling, and the unit of the incident energy."""
        return {"cells": self.scaling.model_dump(), "energy_unit_mev": ENERGY_UNIT}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`.

        Raises:
            ConfigError: a particle is of no class.
        """
        precision = dtype_of(self.config.inference)
        given, noise = condition.to(precision), noise.to(precision)
        if self.particles:
            noise = noise * self.tag.vectors(condition[:, -1], self.generator, noise)
        latent = torch.cat([given[:, :1] / ENERGY_UNIT, given[:, 1:2], noise], dim=1)
        image = self.generator.infer(latent).transpose(2, 3)
        return self.scaling.inverse(self.grid.to_cells(image)).float()

    # --------------------------------------------------------------- training

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """The step of the lineage, on the showers with enough energy (on all if none has it)."""
        enough = batch.energy.sum(1) > 1000.0 * self.config.least_sum
        if bool(enough.any()):
            batch = TrainingBatch(batch.condition[enough], batch.energy[enough])
        return super().training_step(batch, update)

    def _real(self, batch: TrainingBatch) -> tuple[torch.Tensor, Targets]:
        image = self.scaling.forward(self.grid.to_image(batch.energy)).transpose(2, 3)
        total = (image ** (1.0 / self.config.power)).sum(dim=(1, 2, 3, 4))
        energy, theta = batch.condition[:, 0] / ENERGY_UNIT, batch.condition[:, 1]
        bins = () if self.bins is None else (self.bins.targets(image),)
        return image, (energy, theta, total, *bins, *self._labels(batch))

    def _ask(self, batch: TrainingBatch, real: Targets) -> tuple[torch.Tensor, Targets]:
        """For what the paired real showers are."""
        energy, theta = real[:2]
        noise = draws.normal(len(energy), self.latent.size, device=energy.device)
        if self.particles:
            noise = noise * self.generator.vector_of(real[-1])
        return torch.cat([energy[:, None], theta[:, None], noise], dim=1), real
