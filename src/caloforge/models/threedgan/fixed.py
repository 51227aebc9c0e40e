"""The fixed-angle 3DGAN with its published losses and training procedure.

Losses: binary cross entropy (real/fake), and the mean absolute percentage errors of the energy head
and of sum(ECAL), weighted 2, 0.1, 0.1. RMSprop. The latent vector is normal noise times
E = Ep / 100 GeV; fakes have E uniform over the training range (10-500 GeV in the publication) and
an expected sum(ECAL) from a polynomial in E. For the step see
:mod:`caloforge.models.threedgan.adversarial`.

Source: see :mod:`caloforge.models.threedgan.fixed_networks`; the polynomials of the other particles
are those of its public training scripts.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.models.base import Latent, ModelConfig, TrainingBatch, TrainingSample
from caloforge.models.keras import mean_absolute_percentage_error
from caloforge.models.precision import dtype_of
from caloforge.models.threedgan.adversarial import (
    ENERGY_UNIT,
    Adversarial,
    AdversarialConfig,
    Head,
    Targets,
)
from caloforge.models.threedgan.fixed_networks import IMAGE_SHAPE, Discriminator, Generator
from caloforge.preprocess import EnergyScaling

EXPECTED_SUMS = {
    111: (0.0085, -0.094, 2.051),
    211: (0.005, -0.07, 1.79),
    -211: (0.005, -0.07, 1.79),
}
"""sum(ECAL) in GeV / E of particles that do not shower as electrons do, by PDG code."""


class ThreeDGANConfig(AdversarialConfig):
    """The published values are the defaults."""

    latent_size: PositiveInt = 200
    scale: PositiveFloat = 100.0
    """Network units per GeV of a cell."""
    loss_weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (2.0, 0.1, 0.1)
    """Real/fake, energy, sum(ECAL)."""
    fake_energy: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of the fakes' energies in GeV; the training sample's range when absent."""
    expected_sum: tuple[float, ...] = (0.0018, -0.023, 0.11, -0.28, 2.21)
    """sum(ECAL) in GeV / E as a polynomial in E, highest power first (electrons). With ``classes``
    neutral and charged pions have their own, :data:`EXPECTED_SUMS`."""


class FixedAngle(Adversarial):
    """What the GANs for 25 x 25 x 25 cells and normal incidence share: all but the networks."""

    image_shape = IMAGE_SHAPE

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, ThreeDGANConfig)
        self.config: ThreeDGANConfig = config
        self.scaling = EnergyScaling(factor=config.scale, threshold=calorimeter.cell_threshold)
        self._make_networks()
        self.fake_energy: torch.Tensor = nn.Buffer(torch.tensor([0.1, 5.0]))
        self.real_weight, energy, total = config.loss_weights
        self.heads = (
            Head("energy", mean_absolute_percentage_error, energy),
            Head("sum", mean_absolute_percentage_error, total),
            *self._particle_head(),
        )

    @abstractmethod
    def _make_networks(self) -> None:
        """Set ``generator`` and ``discriminator``."""

    @property
    def latent(self) -> Latent:
        """``latent_size`` normal numbers (200)."""
        return Latent(self.config.latent_size)

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling, and the unit of the incident energy."""
        return {"cells": self.scaling.model_dump(), "energy_unit_mev": ENERGY_UNIT}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`.

        Raises:
            ConfigError: a particle is of no class.
        """
        precision = dtype_of(self.config.inference)
        latent = condition[:, :1].to(precision) / ENERGY_UNIT * noise.to(precision)
        if self.particles:
            latent = latent * self.tag.vectors(condition[:, -1], self.generator, latent)
        energy = self.scaling.inverse(self.grid.to_cells(self.generator.infer(latent)))
        return energy.float()

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take the energy range of the fakes from the sample, unless the config says it.

        Raises:
            ConfigError: a particle is of no class.
        """
        super().prepare(sample)
        low, high = (value / ENERGY_UNIT for value in sample.ranges["energy"])
        if self.config.fake_energy is not None:
            low, high = (value * 1000.0 / ENERGY_UNIT for value in self.config.fake_energy)
        self.fake_energy.copy_(torch.tensor([low, high]))

    def _real(self, batch: TrainingBatch) -> tuple[torch.Tensor, Targets]:
        image = self.scaling.forward(self.grid.to_image(batch.energy))
        energy = batch.condition[:, 0] / ENERGY_UNIT
        return image, (energy, image.sum(dim=(1, 2, 3, 4)), *self._labels(batch))

    def _ask(self, batch: TrainingBatch, real: Targets) -> tuple[torch.Tensor, Targets]:
        """Random energies, and random particles."""
        n, device = len(batch.condition), batch.condition.device
        energy, noise = self._draw(n, device)
        latent = energy[:, None] * noise
        if not self.particles:
            return latent, (energy, self._expected_sum(energy))
        label = (draws.uniform(n, device=device) * len(self.particles)).long()
        latent = latent * self.generator.vector_of(label)
        return latent, (energy, self._expected_sum(energy, label), label)

    def _draw(self, n: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Random energies (n,) in units of E and noise (n, latent) for a fake batch."""
        low, high = self.fake_energy
        energy = low + (high - low) * draws.uniform(n, device=device)
        return energy, draws.normal(n, self.config.latent_size, device=device)

    def _expected_sum(
        self, energy: torch.Tensor, label: torch.Tensor | None = None
    ) -> torch.Tensor:
        """sum(ECAL) in network units that a shower of this E (and class) deposits on average."""
        value = self._ratio(energy, self.config.expected_sum)
        for number, code in enumerate(self.particles):
            if label is not None and code in EXPECTED_SUMS:
                value = torch.where(
                    label == number, self._ratio(energy, EXPECTED_SUMS[code]), value
                )
        return value * energy * self.config.scale

    @staticmethod
    def _ratio(energy: torch.Tensor, polynomial: tuple[float, ...]) -> torch.Tensor:
        value = torch.zeros_like(energy)
        for coefficient in polynomial:
            value = value * energy + coefficient
        return value


class ThreeDGAN(FixedAngle):
    """3DGAN for 25 x 25 x 25 cells and normal incidence."""

    kind = "3dgan"
    config_class = ThreeDGANConfig

    generator: Generator
    discriminator: Discriminator

    def _make_networks(self) -> None:
        classes = len(self.config.classes)
        self.generator = Generator(self.config.latent_size, classes)
        self.discriminator = Discriminator(classes)
