"""The variational autoencoder of Geant4's Par04 example.

All cells as shares of the incident energy go through dense layers to ten normal latents and back;
the output is a sigmoid. The loss is the binary cross entropy of the shares, summed over the cells,
and the Kullback-Leibler divergence. Conditions: the energy over 1024 GeV, the polar angle over 90
degrees, and the geometry as one of two.

Source: D. Salamani, A. Zaborowska, W. Pokorski, "MetaHEP", Phys. Lett. B 844 (2023) 138079, and the
training scripts of the example (Geant4 11.1, examples/extended/parameterisations/Par04/training:
hidden layers 100, 50, 20, 14; batches of 128; Adam, rate 1e-3; 1000 epochs; electrons of 1 GeV to
1 TeV in powers of two).

The weight of the divergence differs between versions of these scripts: against the cross entropy of
one shower it is 1/40,500 in their own repository (DalilaSalamani/MLFastSim), the default here, and
1/128 in Geant4 11.1, where one term is summed and the other averaged over a batch of 128. With the
latter the latents say nothing about showers that leave 2 % of their energy in the cells.
Different here: the output's logits are counted from those of the training sample's mean shower, so
that learning takes minutes where the published bias needs thousands of steps from 0 to -14; the
cross entropy is computed from logits, not from shares cut at 1e-7; cells below the calorimeter's
threshold are zero. A model has one calorimeter, so the geometry is constant; so is the angle unless
``theta`` is a condition.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch.nn import functional as F

from caloforge.geometry import Calorimeter
from caloforge.models.base import (
    GradientModel,
    Latent,
    ModelConfig,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.conditions import energy_first
from caloforge.models.latents import divergence, sample
from caloforge.models.precision import Inference, dtype_of, infer
from caloforge.models.vae.dense_networks import Decoder, Encoder

ENERGY_UNIT = 1_024_000.0
"""MeV that are 1 for the networks."""

GEOMETRY = (0.0, 1.0)
"""Par04's code for tungsten and silicon; (1, 0) is scintillator and lead."""

LEAST_SHARE = 1e-9
"""Of the incident energy in a cell of the mean shower."""


class DenseVAEConfig(ModelConfig):
    """The published values are the defaults."""

    condition: Annotated[tuple[Literal["energy", "theta"], ...], AfterValidator(energy_first)] = (
        "energy",
    )
    """Incident columns: the energy, and the polar angle where the showers have several."""
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (100, 50, 20, 14)
    latents: PositiveInt = 10
    divergence_weight: NonNegativeFloat = 1.0 / 40_500.0
    learning_rate: PositiveFloat = 1e-3
    inference: Inference = "float64"


class DenseVAE(GradientModel):
    """Par04's dense variational autoencoder, for any calorimeter."""

    kind = "vae"
    config_class = DenseVAEConfig
    home = "par04-siw-fine"

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, DenseVAEConfig)
        self.config: DenseVAEConfig = config
        self.condition_columns = config.condition
        sizes = calorimeter.n_cells, config.hidden, config.latents
        self.encoder = Encoder(*sizes)
        self.decoder = Decoder(*sizes)

    @property
    def latent(self) -> Latent:
        """Ten normal numbers."""
        return Latent(self.config.latents)

    def preprocessing(self) -> dict[str, Any]:
        """Units of cells and conditions."""
        return {"cells": "shares of the incident energy", "energy_unit_mev": ENERGY_UNIT}

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        precision = dtype_of(self.config.inference)
        given = condition.to(precision)
        logits = infer(self.decoder, noise.to(precision), self._known(given))
        energy = torch.sigmoid(logits) * given[:, :1]
        least = self.calorimeter.cell_threshold
        return torch.where(energy < least, torch.zeros_like(energy), energy).float()

    def _known(self, condition: torch.Tensor) -> torch.Tensor:
        """Conditions (B, C) in MeV and rad -> (B, 4) as the networks see them."""
        energy = condition[:, :1] / ENERGY_UNIT
        angle = torch.ones_like(energy)
        if "theta" in self.condition_columns:
            theta = condition[:, self.condition_columns.index("theta"), None]
            right = torch.tensor(math.pi / 2.0, dtype=theta.dtype, device=theta.device)
            angle = theta / right
        geometry = [torch.full_like(energy, code) for code in GEOMETRY]
        return torch.cat([energy, angle, *geometry], dim=-1)

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take the mean shower, unless the model has one, which its weights are made for."""
        if bool((self.decoder.usual != 0.0).any()):
            return
        showers = sample.showers
        weight = showers.energy / showers.incident.energy[showers.hit_shower]
        total = np.bincount(showers.cell, weight, minlength=self.calorimeter.n_cells)
        share = torch.from_numpy(total / len(showers)).clamp(LEAST_SHARE, 0.5)
        self.decoder.usual.copy_(torch.logit(share))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam with Keras' epsilon."""
        return {"vae": torch.optim.Adam(self.parameters(), self.config.learning_rate, eps=1e-7)}

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """One step on a batch."""
        total, parts = self.losses(batch)
        update("vae", total, parts)
        return parts

    def losses(self, batch: TrainingBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss and its two parts, averages over showers."""
        known = self._known(batch.condition)
        shares = batch.energy / batch.condition[:, :1]
        mean, log_variance = self.encoder(shares, known)
        logits = self.decoder(sample(mean, log_variance), known).float()
        entropy = F.softplus(logits) - shares * logits  # exact where the shares are tiny
        reconstruction = entropy.sum(-1).mean()
        apart = divergence(mean.float(), log_variance.float()).mean()
        total = reconstruction + self.config.divergence_weight * apart
        return total, {"reconstruction": reconstruction.detach(), "divergence": apart.detach()}
