"""A convolutional variational autoencoder with an energy stage, for regular grids.

First a flow draws the layers' energies (:mod:`caloforge.models.layer_flow`); then the decoder,
given them and normal latents, makes the cells, which are scaled to their layers.

The scheme is that of L. Favaro et al., CaloDREAM (SciPost Phys. 18 (2025) 088, arXiv:2405.09629,
section 3.3; code luigifvr/calo_dreamer), and of the VAE+INN of F. Ernst et al. (arXiv:2312.09290):
an autoencoder of three-dimensional convolutions, each with batch normalisation, and transposed
convolutions, given the incident energy and the layers' energies. Different here:

- the latents are a vector with a standard normal prior, and the loss is the evidence bound with its
  full Kullback-Leibler divergence, so that no second network has to learn the latents' density;
- the decoder gives a density of every cell, from which cells are drawn
  (:mod:`caloforge.models.hurdle`): the published one gives means, by binary cross entropy, which on
  sparse silicon cells makes ten times the hits;
- narrower and with fewer blocks, so that it learns on a CPU.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caloforge.geometry import Calorimeter
from caloforge.models.base import (
    GradientModel,
    Latent,
    ModelConfig,
    TrainingBatch,
    TrainingSample,
    Update,
)
from caloforge.models.conditions import Columns
from caloforge.models.hurdle import Hurdle
from caloforge.models.layer_flow import LayerFlow
from caloforge.models.precision import Inference, dtype_of, infer
from caloforge.models.vae.conv_networks import Decoder, Encoder
from caloforge.models.vae.latents import divergence, normal_from_uniform, sample
from caloforge.preprocess import GridImage


class ConvVAEConfig(ModelConfig):
    """Sizes and rates."""

    condition: Columns = ("energy",)
    """Incident columns that the showers depend on; the energy comes first."""
    latents: PositiveInt = 32
    width: PositiveInt = 16
    """Channels of the convolutions."""
    hidden: PositiveInt = 128
    """Size of the hidden dense layers."""
    components: PositiveInt = 2
    """Normal densities in the mixture of a cell's level."""
    flow_transforms: PositiveInt = 3
    flow_hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64)
    divergence_weight: NonNegativeFloat = 1.0
    learning_rate: PositiveFloat = 1e-3
    inference: Inference = "float64"


class ConvVAE(GradientModel):
    """Convolutional variational autoencoder with an energy stage, for regular grids."""

    kind = "vae-conv"
    config_class = ConvVAEConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, ConvVAEConfig)
        self.config: ConvVAEConfig = config
        c = config
        self.condition_columns = c.condition
        self.grid = GridImage(calorimeter)
        self.hurdle = Hurdle(calorimeter, c.components)
        self.energies = LayerFlow(calorimeter, c.condition, c.flow_transforms, c.flow_hidden)
        shape, known = self.grid.shape, len(c.condition) + calorimeter.n_layers
        self.encoder = Encoder(shape, known, c.width, c.hidden, c.latents)
        self.decoder = Decoder(shape, c.latents + known, c.width, c.hidden, self.hurdle.size)

    @property
    def _normals(self) -> tuple[int, int, int]:
        """Normal numbers of a shower: for the layers' energies, the latents, the cells."""
        cells = self.calorimeter.n_cells
        return self.calorimeter.n_layers, self.config.latents, cells

    @property
    def latent(self) -> Latent:
        """Uniform numbers: one for each cell, and those that become normal ones."""
        normals = sum(self._normals)
        return Latent(self.calorimeter.n_cells + normals + normals % 2, "uniform")

    def preprocessing(self) -> dict[str, Any]:
        """How cells and layers are described."""
        return {
            "layers": "ln(visible share), logits of shares of the energy left, standardised",
            "cells": "hit or not, standardised ln(energy - threshold)",
        }

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        precision = dtype_of(self.config.inference)
        given, noise = condition.to(precision), noise.to(precision)
        cells = self.calorimeter.n_cells
        normal = normal_from_uniform(noise[:, cells:])[:, : sum(self._normals)]
        of_layers, latents, of_cells = normal.split_with_sizes(self._normals, -1)
        layers = infer(self.energies, given, of_layers)
        known = self.energies.describe(layers, given)
        numbers = self._rows(self.decoder.infer(torch.cat([latents, known], -1)))
        table = self.hurdle.table
        uniform, normal = table.rows(noise[:, :cells]), table.rows(of_cells)
        return table.cells(self.hurdle.draw(numbers, uniform, normal, layers)).float()

    def _rows(self, image: torch.Tensor) -> torch.Tensor:
        """(B, x, y, depth, size) -> (B, L, C, size)."""
        return image.permute(0, 3, 1, 2, 4).flatten(2, 3)

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take means, spreads and usual cells, unless the model has them from an earlier training.

        Its weights are made for those.
        """
        if not self.hurdle.fitted:
            self.hurdle.fit(sample.showers)
            self.energies.fit(sample.showers)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the autoencoder and for the energy stage."""
        rate = self.config.learning_rate
        coder = [*self.encoder.parameters(), *self.decoder.parameters()]
        return {
            "energies": torch.optim.Adam(self.energies.parameters(), rate),
            "vae": torch.optim.Adam(coder, rate),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """A step of the energy stage and one of the autoencoder."""
        layers = self.hurdle.table.rows(batch.energy).sum(-1)
        energies = self.energies.loss(layers, batch.condition)
        update("energies", energies, {"layers": energies.detach()})
        total, parts = self.losses(batch, layers)
        update("vae", total, parts)
        return {"energies/layers": energies.detach(), **{f"vae/{k}": v for k, v in parts.items()}}

    def losses(
        self, batch: TrainingBatch, layers: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The bound on minus ln p of the cells, and its parts, averages over showers.

        Args:
            batch: the real showers.
            layers: their layers' energies (B, L) in MeV.
        """
        rows = self.hurdle.table.rows(batch.energy)
        hit, level = self.hurdle.levels(rows)
        known = self.energies.describe(layers, batch.condition)
        of_layer = known[:, -layers.shape[1] :, None].expand_as(hit)
        image = torch.cat([self.grid.to_image(part) for part in (hit, level, of_layer)], 1)
        mean, log_variance = self.encoder(image, known)
        mean, log_variance = mean.float(), log_variance.float()
        numbers = self.decoder(torch.cat([sample(mean, log_variance), known], -1))
        hits, levels = self.hurdle.losses(self._rows(numbers), hit, level)
        parts = {"hits": hits.mean(), "levels": levels.mean()}
        parts["divergence"] = divergence(mean, log_variance).mean()
        total = parts["hits"] + parts["levels"]
        total = total + self.config.divergence_weight * parts["divergence"]
        return total, {name: value.detach() for name, value in parts.items()}
