"""What the 3DGAN lineage shares: the adversarial step and its losses.

Per step: the discriminator on a real batch, then on a fake batch, then the generator twice. The
discriminator judges real or fake (binary cross entropy, 5 % of the labels flipped) and measures
what was asked for: each of these :class:`Head` has its own loss and weight.

With ``classes``, particles of several kinds are one sample: the generator's noise is multiplied by
a learned vector of the particle (as in ACGAN and LAGAN), the discriminator gets one more head, a
softmax over the particles, and ``pdg`` is one more condition. Without, the networks are the
published ones to the parameter.

Source: G. Khattak, S. Vallecorsa, F. Carminati, M. Khan, Eur. Phys. J. C 82 (2022) 386, and its
public code (svalleco/3Dgan); ACGAN: A. Odena, C. Olah, J. Shlens, ICML 2017; LAGAN: L. de Oliveira,
M. Paganini, B. Nachman, Comput. Softw. Big Sci. 1 (2017) 4.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional as F

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.models import draws
from caloforge.models.base import (
    GradientModel,
    ModelConfig,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.keras import rmsprop
from caloforge.models.precision import Inference
from caloforge.models.threedgan.particle_tag import ParticleTag, TaggedGenerator
from caloforge.preprocess import GridImage

ENERGY_UNIT = 100_000.0
"""MeV per unit of E: the networks see Ep / 100 GeV."""

Losses = dict[str, torch.Tensor]
Targets = tuple[torch.Tensor, ...]
"""What the heads should say, in their order; (B, ...) each."""


@dataclass(frozen=True)
class Head:
    """A head of the discriminator besides real/fake: its loss(target, predicted), weighted."""

    name: str
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    weight: float


class AdversarialConfig(ModelConfig):
    """What every model of the lineage can be told; the published values are the defaults."""

    learning_rate: PositiveFloat = 1e-3
    label_flips: float = Field(default=0.05, ge=0.0, lt=0.5)
    generator_steps: PositiveInt = 2
    classes: tuple[int, ...] = ()
    """PDG codes of the particles to tell apart; none: the sample is of one kind."""
    class_weight: NonNegativeFloat = 0.4
    """Of the particle's cross entropy: a fifth of real/fake's weight of 2, as in CaloGAN."""
    inference: Inference = "float64"


class Adversarial(GradientModel):
    """A generator and a discriminator that learn from each other.

    The discriminator gives a real/fake logit and the ``heads``, in their order, (B, ...) each.
    """

    columns: ClassVar[tuple[str, ...]] = ("energy",)
    """Conditions besides the kind of particle."""
    image_shape: ClassVar[tuple[int, int, int]]
    """Cells (x, y, depth)."""
    real_label: ClassVar[float] = 1.0
    flips_for_generator: ClassVar[bool] = False
    """Whether labels are flipped in the generator's steps, too."""

    generator: TaggedGenerator
    discriminator: nn.Module
    real_weight: float
    """Of the real/fake loss."""
    heads: tuple[Head, ...]

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, AdversarialConfig)
        self.config: AdversarialConfig = config
        self.tag = ParticleTag(config.classes)
        self.particles = config.classes
        self.condition_columns = (*self.columns, *(("pdg",) if config.classes else ()))
        self.grid = GridImage(calorimeter)
        if self.grid.shape != self.image_shape:
            raise GeometryError(
                f"{self.kind} makes {self.image_shape} cells (x, y, depth), '{calorimeter.name}' "
                f"has {self.grid.shape}; use {self.home}"
            )

    @abstractmethod
    def _real(self, batch: TrainingBatch) -> tuple[torch.Tensor, Targets]:
        """Images (B, 1, ...) in network units, and what the heads should say of them."""

    @abstractmethod
    def _ask(self, batch: TrainingBatch, real: Targets) -> tuple[torch.Tensor, Targets]:
        """The generator's input for a batch of fakes, and what the heads should say of them."""

    def prepare(self, sample: TrainingSample) -> None:
        """Check that the particles of the sample are among the classes.

        Raises:
            ConfigError: there are others.
        """
        if self.particles:
            self.tag.require(sample.showers.incident["pdg"], "the training sample")

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One RMSprop for each network."""
        rate = self.config.learning_rate
        return {
            "discriminator": rmsprop(self.discriminator.parameters(), rate),
            "generator": rmsprop(self.generator.parameters(), rate),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """D on real, D on fake, then G ``generator_steps`` times."""
        losses: Losses = {}
        image, real = self._real(batch)
        total, parts = self._judge(image, *real, real=True)
        update("discriminator", total, parts)
        losses |= {f"discriminator/real/{name}": value for name, value in parts.items()}

        with _inference(self.generator):
            latent, asked = self._ask(batch, real)
            fake = self.generator(latent)
        total, parts = self._judge(fake, *asked, real=False)
        update("discriminator", total, parts)
        losses |= {f"discriminator/fake/{name}": value for name, value in parts.items()}

        for step in range(self.config.generator_steps):
            with _frozen(self.discriminator):
                latent, asked = self._ask(batch, real)
                fake = self.generator(latent)
                total, parts = self._judge(fake, *asked, real=True, flip=self.flips_for_generator)
                update("generator", total, parts)
            if step == self.config.generator_steps - 1:
                losses |= {f"generator/{name}": value for name, value in parts.items()}
        return losses

    def _judge(
        self, image: torch.Tensor, *targets: torch.Tensor, real: bool, flip: bool = True
    ) -> tuple[torch.Tensor, Losses]:
        """The weighted loss of all heads, and its parts."""
        logit, *predicted = self.discriminator(image)
        label = torch.full_like(logit, self.real_label if real else 0.0)
        if flip:
            flipped = draws.uniform(*label.shape, device=label.device) < self.config.label_flips
            label = torch.where(flipped, 0.0 if real else 1.0, label)
        parts = {"real_or_fake": F.binary_cross_entropy_with_logits(logit, label)}
        for head, target, value in zip(self.heads, targets, predicted, strict=True):
            parts[head.name] = head.loss(target, value)
        weights = (self.real_weight, *(head.weight for head in self.heads))
        weighted = [w * part for w, part in zip(weights, parts.values(), strict=True)]
        return torch.stack(weighted).sum(), {k: v.detach() for k, v in parts.items()}

    def _particle_head(self) -> tuple[Head, ...]:
        """The head for the kind of particle, if there are classes."""
        if not self.particles:
            return ()
        return (Head("particle", _cross_entropy, self.config.class_weight),)

    def _labels(self, batch: TrainingBatch) -> Targets:
        """The numbers of the particles' classes (B,), if there are classes."""
        return (self.tag.labels(batch.condition[:, -1]),) if self.particles else ()


def _cross_entropy(label: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, label)


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
