"""LAGAN with its published losses and training procedure.

Per step: the discriminator on a real batch, then on a fake batch, then the generator twice, each
time with new noise and new classes. Losses: binary cross entropies of real/fake and of the class,
equally weighted. Flipped labels: 5 % of real/fake for the discriminator and of the classes of its
fakes, 9 % of the classes for the generator. Adam.

The class is the only condition: the published jets lie between 250 and 300 GeV of transverse
momentum. What a cell holds is transverse momentum, so is the "energy" of a jet.

Source: see :mod:`caloforge.models.lagan.networks`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt
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
from caloforge.models.base import GradientModel, Latent, ModelConfig, TrainingBatch, Update
from caloforge.models.lagan.networks import CLASSES, SIZE, Discriminator, Generator
from caloforge.models.precision import Inference, dtype_of, infer
from caloforge.preprocess import EnergyScaling

BETAS = (0.5, 0.999)
"""Of Adam."""

Losses = dict[str, torch.Tensor]


class LAGANConfig(ModelConfig):
    """The published values are the defaults."""

    latent_size: PositiveInt = 200
    classes: tuple[int, int] = (21, 24)
    """PDG codes of background (a gluon's jet) and signal (a W)."""
    scale: PositiveFloat = 0.01
    """Network units per GeV of a cell."""
    learning_rate: PositiveFloat = 2e-4
    label_flips: float = Field(default=0.05, ge=0.0, lt=0.5)
    """Of real/fake, and of the fakes' classes, in the discriminator's steps."""
    class_flips: float = Field(default=0.09, ge=0.0, lt=0.5)
    """In the generator's steps."""
    generator_steps: PositiveInt = 2
    inference: Inference = "float64"


class LAGAN(GradientModel):
    """LAGAN for jet images of 25 x 25 cells: signal and background."""

    kind = "lagan"
    config_class = LAGANConfig
    condition_columns = ("pdg",)
    home = "jet-image-25"
    in_parts = False  # minibatch discrimination sees the whole batch

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, LAGANConfig)
        self.config: LAGANConfig = config
        shapes = [layer.segmentation.shape for layer in calorimeter.layers]
        if shapes != [(SIZE, SIZE)]:
            raise GeometryError(
                f"lagan makes one layer of {SIZE} x {SIZE} cells, '{calorimeter.name}' has "
                f"{len(shapes)} layers, the first of {shapes[0]}; use jet-image-25"
            )
        self.particles = config.classes
        self.scaling = EnergyScaling(factor=config.scale, threshold=calorimeter.cell_threshold)
        self.generator = Generator(config.latent_size)
        self.discriminator = Discriminator()

    @property
    def latent(self) -> Latent:
        """200 normal numbers."""
        return Latent(self.config.latent_size)

    def preprocessing(self) -> dict[str, Any]:
        """Cell scaling."""
        return {"cells": self.scaling.model_dump()}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Jets in MeV per cell, see :meth:`ShowerModel.forward`; NaN for unknown particles."""
        precision = dtype_of(self.config.inference)
        weights = class_weights(condition[:, 0].to(precision), self.config.classes)
        image = infer(self.generator, noise.to(precision), weights)
        return self.scaling.inverse(image.flatten(1)).float()

    # --------------------------------------------------------------- training

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        rate = self.config.learning_rate
        return {
            name: torch.optim.Adam(self.get_submodule(name).parameters(), rate, BETAS, fused=True)
            for name in ("discriminator", "generator")
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """D on real, D on fake, then G ``generator_steps`` times.

        Raises:
            ShowerError: a particle that is none of the config's classes.
        """
        numbers = class_numbers(batch.condition[:, 0], self.config.classes)
        image = self.scaling.forward(batch.energy).reshape(-1, SIZE, SIZE, 1)
        n, device, flips = len(numbers), batch.energy.device, self.config.label_flips
        losses: Losses = {}

        total, parts = self._judge(image, numbers, real=True, flips=flips)
        update("discriminator", total, parts)
        losses |= {f"discriminator/real/{name}": value for name, value in parts.items()}

        with predicting(self.generator):
            fakes, numbers = self._fakes(n, device)
        numbers = flip_classes(numbers, CLASSES, flips)
        total, parts = self._judge(fakes, numbers, real=False, flips=flips)
        update("discriminator", total, parts)
        losses |= {f"discriminator/fake/{name}": value for name, value in parts.items()}

        for _ in range(self.config.generator_steps):
            with frozen(self.discriminator):
                fakes, numbers = self._fakes(n, device)
                numbers = flip_classes(numbers, CLASSES, self.config.class_flips)
                total, parts = self._judge(fakes, numbers, real=True, flips=0.0)
                update("generator", total, parts)
        return losses | {f"generator/{name}": value for name, value in parts.items()}

    def _fakes(self, n: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Fakes (n, 25, 25, 1) and their classes (n,)."""
        noise = draws.normal(n, self.config.latent_size, device=device)
        numbers = draw_classes(n, CLASSES, device)
        weights = F.one_hot(numbers, CLASSES).to(noise.dtype)
        return self.generator(noise, weights), numbers

    def _judge(
        self, image: torch.Tensor, classes: torch.Tensor, *, real: bool, flips: float
    ) -> tuple[torch.Tensor, Losses]:
        """The loss of the two heads, and its parts; ``flips`` of the real/fake labels are wrong."""
        logit, class_logit = self.discriminator(image)
        label = torch.full_like(logit, 1.0 if real else 0.0)
        if flips:
            flipped = draws.uniform(len(label), device=label.device) < flips
            label = torch.where(flipped, 1.0 - label, label)
        parts = {
            "real_or_fake": F.binary_cross_entropy_with_logits(logit, label),
            "class": class_loss(class_logit, classes),
        }
        total = parts["real_or_fake"] + parts["class"]
        return total, {name: value.detach() for name, value in parts.items()}
