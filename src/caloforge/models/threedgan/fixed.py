"""The fixed-angle 3DGAN with its published losses and training procedure.

Per step: the discriminator on a real batch, then on a fake batch, then the generator twice.
Losses: binary cross entropy (real/fake, 5 % of the labels flipped), and the mean absolute
percentage errors of the energy head and of sum(ECAL), weighted 2, 0.1, 0.1. RMSprop. The latent
vector is normal noise times E = Ep / 100 GeV; fakes have E uniform over the training range
(10-500 GeV in the publication) and an expected sum(ECAL) from a polynomial in E.

Source: see :mod:`caloforge.models.threedgan.fixed_networks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional as F

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.models.base import (
    GradientModel,
    Latent,
    ModelConfig,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.keras import mean_absolute_percentage_error, rmsprop
from caloforge.models.precision import Inference, dtype_of
from caloforge.models.threedgan.fixed_networks import IMAGE_SHAPE, Discriminator, Generator
from caloforge.preprocess import EnergyScaling, GridImage

ENERGY_UNIT = 100_000.0
"""MeV per unit of E: the networks see Ep / 100 GeV."""

Losses = dict[str, torch.Tensor]


class ThreeDGANConfig(ModelConfig):
    """The published values are the defaults."""

    latent_size: PositiveInt = 200
    scale: PositiveFloat = 100.0
    """Network units per GeV of a cell."""
    learning_rate: PositiveFloat = 1e-3
    loss_weights: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (2.0, 0.1, 0.1)
    """Real/fake, energy, sum(ECAL)."""
    label_flips: float = Field(default=0.05, ge=0.0, lt=0.5)
    generator_steps: PositiveInt = 2
    fake_energy: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of the fakes' energies in GeV; the training sample's range when absent."""
    expected_sum: tuple[float, ...] = (0.0018, -0.023, 0.11, -0.28, 2.21)
    """sum(ECAL) in GeV / E as a polynomial in E, highest power first (electrons)."""
    inference: Inference = "float64"


class ThreeDGAN(GradientModel):
    """3DGAN for 25 x 25 x 25 cells and normal incidence."""

    kind = "3dgan"
    config_class = ThreeDGANConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, ThreeDGANConfig)
        self.config: ThreeDGANConfig = config
        self.grid = GridImage(calorimeter)
        if self.grid.shape != IMAGE_SHAPE:
            raise GeometryError(
                f"3dgan makes {IMAGE_SHAPE} cells (x, y, depth), '{calorimeter.name}' has "
                f"{self.grid.shape}; use lcd-ecal-25"
            )
        self.scaling = EnergyScaling(factor=config.scale, threshold=calorimeter.cell_threshold)
        self.generator = Generator(config.latent_size)
        self.discriminator = Discriminator()
        self.fake_energy: torch.Tensor = nn.Buffer(torch.tensor([0.1, 5.0]))

    @property
    def latent(self) -> Latent:
        """200 normal numbers."""
        return Latent(self.config.latent_size)

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling, and the unit of the incident energy."""
        return {"cells": self.scaling.model_dump(), "energy_unit_mev": ENERGY_UNIT}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        precision = dtype_of(self.config.inference)
        latent = condition.to(precision) / ENERGY_UNIT * noise.to(precision)
        energy = self.scaling.inverse(self.grid.to_cells(self.generator.infer(latent)))
        return energy.float()

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take the energy range of the fakes from the sample, unless the config says it."""
        low, high = (value / ENERGY_UNIT for value in sample.ranges["energy"])
        if self.config.fake_energy is not None:
            low, high = (value * 1000.0 / ENERGY_UNIT for value in self.config.fake_energy)
        self.fake_energy.copy_(torch.tensor([low, high]))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One RMSprop for each network."""
        rate = self.config.learning_rate
        return {
            "discriminator": rmsprop(self.discriminator.parameters(), rate),
            "generator": rmsprop(self.generator.parameters(), rate),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """D on real, D on fake, then G ``generator_steps`` times."""
        image = self.scaling.forward(self.grid.to_image(batch.energy))
        energy = batch.condition[:, 0] / ENERGY_UNIT
        losses: Losses = {}

        total, parts = self._judge(image, energy, image.sum(dim=(1, 2, 3, 4)), real=True)
        update("discriminator", total, parts)
        losses |= {f"discriminator/real/{name}": value for name, value in parts.items()}

        fake_energy, noise = self._draw(len(energy), energy.device)
        with _inference(self.generator):
            fake = self.generator(fake_energy[:, None] * noise)
        total, parts = self._judge(fake, fake_energy, self._expected_sum(fake_energy), real=False)
        update("discriminator", total, parts)
        losses |= {f"discriminator/fake/{name}": value for name, value in parts.items()}

        for step in range(self.config.generator_steps):
            fake_energy, noise = self._draw(len(energy), energy.device)
            with _frozen(self.discriminator):
                fake = self.generator(fake_energy[:, None] * noise)
                total, parts = self._judge(
                    fake, fake_energy, self._expected_sum(fake_energy), real=True, flip=False
                )
                update("generator", total, parts)
            if step == self.config.generator_steps - 1:
                losses |= {f"generator/{name}": value for name, value in parts.items()}
        return losses

    def _judge(
        self,
        image: torch.Tensor,
        energy: torch.Tensor,
        expected_sum: torch.Tensor,
        *,
        real: bool,
        flip: bool = True,
    ) -> tuple[torch.Tensor, Losses]:
        """The weighted loss of the three heads, and its parts."""
        logit, predicted_energy, total = self.discriminator(image)
        label = torch.full_like(logit, 1.0 if real else 0.0)
        if flip:
            flipped = draws.uniform(*label.shape, device=label.device) < self.config.label_flips
            label = torch.where(flipped, 1.0 - label, label)
        parts = {
            "real_or_fake": F.binary_cross_entropy_with_logits(logit, label),
            "energy": mean_absolute_percentage_error(energy, predicted_energy),
            "sum": mean_absolute_percentage_error(expected_sum, total),
        }
        weights = self.config.loss_weights
        weighted = [w * part for w, part in zip(weights, parts.values(), strict=True)]
        return torch.stack(weighted).sum(), {k: v.detach() for k, v in parts.items()}

    def _draw(self, n: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Random energies (n,) in units of E and noise (n, latent) for a fake batch."""
        low, high = self.fake_energy
        energy = low + (high - low) * draws.uniform(n, device=device)
        return energy, draws.normal(n, self.config.latent_size, device=device)

    def _expected_sum(self, energy: torch.Tensor) -> torch.Tensor:
        """sum(ECAL) in network units that a shower of this E deposits on average."""
        value = torch.zeros_like(energy)
        for coefficient in self.config.expected_sum:
            value = value * energy + coefficient
        return value * energy * self.config.scale


@contextmanager
def _inference(network: nn.Module) -> Iterator[None]:
    """As Keras' ``predict``: running means, no gradient."""
    network.eval()
    with torch.no_grad():
        yield
    network.train()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients flow through ``network`` but not into it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
