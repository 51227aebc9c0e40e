"""A shower layer by layer: energies first, then each layer given those in front of it.

    p(shower | particle) = p(layers' energies | particle) x prod_i p(layer i | layers < i, energies)

The factors are those of L2LFlows (S. Diefenbacher et al., JINST 18 (2023) P10017,
arXiv:2302.11594) and of iCaloFlow (M. Buckley et al., Phys. Rev. D 109 (2024) 033006,
arXiv:2305.11934, where one network serves all layers but the first). The energies come from a flow
(:mod:`caloforge.models.layer_flow`). Within a layer those use normalising flows of all its cells;
625 mostly empty cells make such a flow too large for a CPU. Here a layer is made as in the
variational recurrent network (J. Chung et al., NeurIPS 2015, arXiv:1506.02216): a memory of the
layers in front gives a prior of a few latents; memory and latents give the density of the cells
(:mod:`caloforge.models.hurdle`); the cells and the latents then change the memory. An encoder that
sees the layer turns the likelihood into a bound, which training maximises.

Different from that network: all that is said of a layer includes its energy, the one in front, and
the particle; latents and memory enter without networks of their own.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

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
from caloforge.models.recurrent.networks import Layers, Sizes
from caloforge.models.vae.latents import divergence, normal_from_uniform, sample


class RecurrentConfig(ModelConfig):
    """Sizes and rates."""

    condition: Columns = ("energy",)
    """Incident columns that the showers depend on; the energy comes first."""
    latents: PositiveInt = 12
    """Of every layer."""
    memory: PositiveInt = 96
    hidden: PositiveInt = 128
    components: PositiveInt = 2
    """Normal densities in the mixture of a cell's level."""
    flow_transforms: PositiveInt = 3
    flow_hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64)
    divergence_weight: NonNegativeFloat = 1.0
    learning_rate: PositiveFloat = 1e-3
    inference: Inference = "float64"


class Recurrent(GradientModel):
    """Autoregressive: energies first, then layer by layer with latents and a memory."""

    kind = "recurrent"
    config_class = RecurrentConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, RecurrentConfig)
        self.config: RecurrentConfig = config
        c = config
        self.condition_columns = c.condition
        self.hurdle = Hurdle(calorimeter, c.components)
        self.energies = LayerFlow(calorimeter, c.condition, c.flow_transforms, c.flow_hidden)
        table = self.hurdle.table
        self.layers = Layers(
            Sizes(
                layers=table.layers,
                cells=table.columns,
                known=len(c.condition) + 2,
                latents=c.latents,
                memory=c.memory,
                hidden=c.hidden,
                size=self.hurdle.size,
            )
        )

    @property
    def _normals(self) -> tuple[int, int, int]:
        """Normal numbers of a shower: for the layers' energies, the latents, the cells."""
        layers = self.calorimeter.n_layers
        return layers, layers * self.config.latents, self.calorimeter.n_cells

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
        energy = infer(self.energies, given, of_layers)
        table = self.hurdle.table
        rows = infer(
            _Drawing(self.layers, self.hurdle),
            self._known(energy, given),
            energy,
            latents.unflatten(1, (table.layers, -1)),
            table.rows(noise[:, :cells]),
            table.rows(of_cells),
        )
        return table.cells(rows).float()

    def _known(self, energy: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Of every layer (B, L, C + 2): the particle, its energy, and that of the one in front."""
        features = self.energies.features(energy, condition)
        front = torch.cat([torch.zeros_like(features[:, :1]), features[:, :-1]], -1)
        particle = self.energies.known(condition)[:, None].expand(-1, features.shape[1], -1)
        return torch.cat([particle, features[..., None], front[..., None]], -1)

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take means, spreads and usual cells, unless the model has them from an earlier training.

        Its weights are made for those.
        """
        if not self.hurdle.fitted:
            self.hurdle.fit(sample.showers)
            self.energies.fit(sample.showers)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the energy stage and for the layers."""
        rate = self.config.learning_rate
        return {
            "energies": torch.optim.Adam(self.energies.parameters(), rate),
            "layers": torch.optim.Adam(self.layers.parameters(), rate),
        }

    def training_step(self, batch: TrainingBatch, update: Update) -> dict[str, torch.Tensor]:
        """A step of the energy stage and one of the layers."""
        rows = self.hurdle.table.rows(batch.energy)
        energy = rows.sum(-1)
        energies = self.energies.loss(energy, batch.condition)
        update("energies", energies, {"energies": energies.detach()})
        total, parts = self.losses(rows, self._known(energy, batch.condition))
        update("layers", total, parts)
        named = {f"layers/{name}": value for name, value in parts.items()}
        return {"energies": energies.detach(), **named}

    def losses(
        self, rows: torch.Tensor, known: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The bound on minus ln p of the cells given the energies, and its parts.

        Args:
            rows: cells (B, L, C) in MeV.
            known: (B, L, n), see :meth:`_known`.
        """
        hit, level = self.hurdle.levels(rows)
        told, seen = self.layers.told(known), self.layers.seen(hit, level)
        memory = self.layers.start(told[:, 0])
        memories, latents, apart = [], [], []
        for i in range(told.shape[1]):
            mean, log_variance = self.layers.after(memory, told[:, i], seen[:, i])
            z = sample(mean, log_variance)
            apart.append(divergence(mean, log_variance, *self.layers.before(memory, told[:, i])))
            memories.append(memory)
            latents.append(z)
            memory = self.layers.remember(memory, told[:, i], seen[:, i], z)
        numbers = self.layers.cells(torch.stack(memories, 1), told, torch.stack(latents, 1))
        hits, levels = self.hurdle.losses(numbers, hit, level)
        parts = {"hits": hits.mean(), "levels": levels.mean()}
        parts["divergence"] = torch.stack(apart, 1).sum(1).mean()
        total = parts["hits"] + parts["levels"]
        total = total + self.config.divergence_weight * parts["divergence"]
        return total, {name: value.detach() for name, value in parts.items()}


class _Drawing(nn.Module):
    """One layer after the other, drawn with given noise."""

    def __init__(self, layers: Layers, hurdle: Hurdle) -> None:
        super().__init__()
        self.layers, self.hurdle = layers, hurdle

    def forward(
        self,
        known: torch.Tensor,
        energy: torch.Tensor,
        noise: torch.Tensor,
        uniform: torch.Tensor,
        normal: torch.Tensor,
    ) -> torch.Tensor:
        """Cells (B, L, C) in MeV.

        Args:
            known: (B, L, n) of the layers; energy: (B, L) in MeV.
            noise: (B, L, latents) normal; uniform, normal: (B, L, C).
        """
        told = self.layers.told(known)
        memory = self.layers.start(told[:, 0])
        rows = []
        for i in range(told.shape[1]):
            mean, log_variance = self.layers.before(memory, told[:, i])
            latents = mean + torch.exp(0.5 * log_variance) * noise[:, i]
            numbers = self.layers.cells(memory, told[:, i], latents)
            drawn = self.hurdle.draw(numbers, uniform[:, i], normal[:, i], energy[:, i], i)
            rows.append(drawn)
            seen = self.layers.seen(*self.hurdle.levels(drawn))
            memory = self.layers.remember(memory, told[:, i], seen, latents)
        return torch.stack(rows, 1)
