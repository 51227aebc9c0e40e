"""CaloGAN with its published losses and training procedure.

Per step: the discriminator on a real batch, then on a fake batch, then the generator twice, each
time with new noise. Losses: binary cross entropy (real/fake, no label is flipped) and, weighted
0.05, the mean absolute difference of visible and requested energy in GeV; with a class head, its
cross entropy weighted 0.2, 30 % of the classes of the discriminator's fakes being flipped. Adam.
Fakes have energies uniform over the training range (1-100 GeV in the publication). The public code
has one output for any number of classes; here more than two have one each.

Source: see :mod:`caloforge.models.calogan.generator`.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional as F

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.models.acgan import (
    class_loss,
    class_numbers,
    class_weights,
    draw_classes,
    flip_classes,
    frozen,
    predicting,
)
from caloforge.models.base import (
    GradientModel,
    Latent,
    ModelConfig,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.calogan.discriminator import Discriminator, Verdict
from caloforge.models.calogan.generator import Generator
from caloforge.models.precision import Inference, dtype_of, infer
from caloforge.preprocess import EnergyScaling
from caloforge.preprocess.scaling import MEV_PER_GEV

SHAPES = ((3, 96), (12, 12), (12, 6))
"""Cells along (x, y) of the three layers."""

UNIT_GEV = 100.0
"""GeV per unit of the energy that multiplies the latent vector."""

BETAS = (0.5, 0.999)
"""Of Adam."""

Losses = dict[str, torch.Tensor]


def _different(classes: tuple[int, ...]) -> tuple[int, ...]:
    if len(classes) == 1 or len(set(classes)) < len(classes):
        raise ValueError("give none, or two and more different PDG codes")
    return classes


class CaloGANConfig(ModelConfig):
    """The published values are the defaults."""

    latent_size: PositiveInt = 1024
    attention: bool = True
    """Trainable in-painting from layer to layer."""
    classes: Annotated[tuple[int, ...], AfterValidator(_different)] = ()
    """PDG codes of the particles to make; one kind of particle, whatever it is, when empty."""
    generator_rate: PositiveFloat = 2e-4
    discriminator_rate: PositiveFloat = 2e-5
    energy_weight: NonNegativeFloat = 0.05
    class_weight: NonNegativeFloat = 0.2
    class_flips: float = Field(default=0.3, ge=0.0, le=1.0)
    generator_steps: PositiveInt = 2
    fake_energy: tuple[PositiveFloat, PositiveFloat] | None = None
    """Range of the fakes' energies in GeV; the training sample's range when absent."""
    inference: Inference = "float64"


class CaloGAN(GradientModel):
    """CaloGAN for three layers of 3x96, 12x12 and 12x6 cells, one particle or several."""

    kind = "calogan"
    config_class = CaloGANConfig
    home = "calogan-lar"
    in_parts = False  # minibatch discrimination sees the whole batch

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, CaloGANConfig)
        self.config: CaloGANConfig = config
        shapes = tuple(layer.segmentation.shape for layer in calorimeter.layers)
        if shapes != SHAPES:
            raise GeometryError(
                f"calogan makes layers of {SHAPES} cells (x, y), '{calorimeter.name}' has "
                f"{len(shapes)} layers, the first of {shapes[0]}; use calogan-lar"
            )
        if config.classes:
            self.condition_columns = ("energy", "pdg")
        self.particles = config.classes
        self.scaling = EnergyScaling(factor=1.0, threshold=calorimeter.cell_threshold)
        classes = len(config.classes)
        self.generator = Generator(config.latent_size, SHAPES, config.attention, classes)
        self.discriminator = Discriminator(SHAPES, classes)
        self.fake_energy: torch.Tensor = nn.Buffer(torch.tensor([1.0, 100.0]))

    @property
    def latent(self) -> Latent:
        """1024 normal numbers."""
        return Latent(self.config.latent_size)

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling, and the unit of the incident energy."""
        unit = UNIT_GEV * MEV_PER_GEV
        return {"cells": self.scaling.model_dump(), "energy_unit_mev": unit}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`; NaN for unknown particles."""
        precision = dtype_of(self.config.inference)
        condition = condition.to(precision)
        inputs = [noise.to(precision), condition[:, 0] / MEV_PER_GEV / UNIT_GEV]
        if self.config.classes:
            inputs.append(class_weights(condition[:, 1], self.config.classes))
        return self.scaling.inverse(infer(self.generator, *inputs)).float()

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take the energy range of the fakes from the sample, unless the config says it."""
        low, high = (value / MEV_PER_GEV for value in sample.ranges["energy"])
        low, high = self.config.fake_energy or (low, high)
        self.fake_energy.copy_(torch.tensor([low, high]))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        rates = {
            "discriminator": self.config.discriminator_rate,
            "generator": self.config.generator_rate,
        }
        return {
            name: torch.optim.Adam(self.get_submodule(name).parameters(), rate, BETAS, fused=True)
            for name, rate in rates.items()
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """D on real, D on fake, then G ``generator_steps`` times.

        Raises:
            ShowerError: a particle that is none of the config's classes.
        """
        classes = self.config.classes
        energy = batch.condition[:, 0] / MEV_PER_GEV
        numbers = class_numbers(batch.condition[:, 1], classes) if classes else None
        cells = self.scaling.forward(batch.energy)
        losses: Losses = {}

        total, parts = self._judge(cells, energy, numbers, real=True)
        update("discriminator", total, parts)
        losses |= {f"discriminator/real/{name}": value for name, value in parts.items()}

        with predicting(self.generator):
            fakes, asked, numbers = self._fakes(len(energy), energy.device)
        if numbers is not None:
            numbers = flip_classes(numbers, len(classes), self.config.class_flips)
        total, parts = self._judge(fakes, asked, numbers, real=False)
        update("discriminator", total, parts)
        losses |= {f"discriminator/fake/{name}": value for name, value in parts.items()}

        for _ in range(self.config.generator_steps):
            with frozen(self.discriminator):
                fakes, asked, numbers = self._fakes(len(energy), energy.device)
                total, parts = self._judge(fakes, asked, numbers, real=True)
                update("generator", total, parts)
        return losses | {f"generator/{name}": value for name, value in parts.items()}

    def _fakes(
        self, n: int, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Fakes (n, n_cells) and the energies (n,) in GeV and classes (n,) they were asked for."""
        low, high = self.fake_energy
        noise = draws.normal(n, self.config.latent_size, device=device)
        energy = low + (high - low) * draws.uniform(n, device=device)
        classes = len(self.config.classes)
        if not classes:
            return self.generator(noise, energy / UNIT_GEV), energy, None
        numbers = draw_classes(n, classes, device)
        weights = F.one_hot(numbers, classes).to(noise.dtype)
        return self.generator(noise, energy / UNIT_GEV, weights), energy, numbers

    def _judge(
        self,
        cells: torch.Tensor,
        energy: torch.Tensor,
        classes: torch.Tensor | None,
        *,
        real: bool,
    ) -> tuple[torch.Tensor, Losses]:
        """The weighted loss of the discriminator's outputs, and its parts."""
        verdict: Verdict = self.discriminator(cells, energy)
        label = torch.full_like(verdict.real, 1.0 if real else 0.0)
        parts = {
            "real_or_fake": F.binary_cross_entropy_with_logits(verdict.real, label),
            "energy": F.l1_loss(verdict.total, energy),
        }
        weights = [1.0, self.config.energy_weight]
        if verdict.classes is not None and classes is not None:
            parts["class"] = class_loss(verdict.classes, classes)
            weights.append(self.config.class_weight)
        weighted = [w * part for w, part in zip(weights, parts.values(), strict=True)]
        return torch.stack(weighted).sum(), {k: v.detach() for k, v in parts.items()}
