"""Small models to train in tests: one loss, and two networks against each other."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.geometry import Calorimeter
from caloforge.models import GradientModel, Latent, ModelConfig, TrainingBatch, Update, draws
from caloforge.models.keras import Dropout

HIDDEN = 12


class Toy(GradientModel):
    """What the two have in common."""

    config_class = ModelConfig

    @property
    def latent(self) -> Latent:
        return Latent(4)

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class OneLoss(Toy):
    """An autoencoder with noise and dropout; Adam."""

    kind = "toy-one-loss"

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        cells = calorimeter.n_cells
        self.encoder = nn.Sequential(nn.Linear(cells, HIDDEN), nn.SiLU(), Dropout(0.3))
        self.decoder = nn.Linear(HIDDEN, cells)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"all": torch.optim.Adam(self.parameters(), 1e-2)}

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        shower = torch.log1p(batch.energy.to(self.decoder.weight.dtype))
        inner = self.encoder(shower)
        noise = draws.normal(*inner.shape).to(inner.dtype)
        loss = F.mse_loss(self.decoder(inner + 0.1 * noise), shower)
        update("all", loss, {"mse": loss.detach()})
        return {"mse": loss.detach()}


class TwoNetworks(Toy):
    """A GAN: the discriminator twice, then the generator twice, as 3DGAN steps."""

    kind = "toy-gan"

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        cells = calorimeter.n_cells
        self.generator = nn.Sequential(
            nn.Linear(4, HIDDEN), *self._middle(), nn.SiLU(), nn.Linear(HIDDEN, cells)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(cells, HIDDEN), *self._middle(), nn.SiLU(), Dropout(0.2)
        )
        self.last = nn.Linear(HIDDEN, 1)

    def _middle(self) -> list[nn.Module]:
        return []

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        judge = [*self.discriminator.parameters(), *self.last.parameters()]
        return {
            "discriminator": torch.optim.SGD(judge, 1e-2),
            "generator": torch.optim.SGD(self.generator.parameters(), 1e-2),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        real = torch.log1p(batch.energy.to(self.last.weight.dtype))
        losses = {}
        for name, image, sign in (("real", real, -1.0), ("fake", self._fake(real).detach(), 1.0)):
            losses[name] = F.softplus(sign * self._judge(image)).mean()
            update("discriminator", losses[name], {})
        for name in ("first", "second"):
            losses[name] = F.softplus(-self._judge(self._fake(real))).mean()
            update("generator", losses[name], {})
        return {name: value.detach() for name, value in losses.items()}

    def _fake(self, real: torch.Tensor) -> torch.Tensor:
        noise = draws.normal(len(real), 4).to(real.dtype)
        image: torch.Tensor = self.generator(noise)
        return image

    def _judge(self, image: torch.Tensor) -> torch.Tensor:
        score: torch.Tensor = self.last(self.discriminator(image))
        return score


class Normalised(TwoNetworks):
    """The same with batch normalisation in both networks."""

    kind = "toy-normalised"

    def _middle(self) -> list[nn.Module]:
        return [nn.BatchNorm1d(HIDDEN)]


TOYS = {toy.kind: toy for toy in (OneLoss, TwoNetworks, Normalised)}
