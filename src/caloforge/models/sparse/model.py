"""Layers' energies first, then latents, then cells drawn from a density: what such models share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
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
from caloforge.models.latents import normal_from_uniform
from caloforge.models.precision import dtype_of, infer
from caloforge.models.schedule import one_cycle, set_rate
from caloforge.models.sparse.config import SparseConfig
from caloforge.models.sparse.hurdle import Hurdle
from caloforge.models.sparse.layer_flow import LayerFlow

Losses = dict[str, torch.Tensor]

WARM_UP = 0.1
"""Share of the steps over which the learning rate rises."""

FIRST_WEIGHT = 0.05
"""Of the divergence at the first step, over its final one."""


class Drawn(NamedTuple):
    """Noise of the cells of showers: latents (B, n) normal; uniform and normal (B, L, C)."""

    latents: torch.Tensor
    uniform: torch.Tensor
    normal: torch.Tensor


class Sparse(GradientModel):
    """Base of the models that draw sparse cells given their layers' energies."""

    in_parts = False  # counts its steps

    config: SparseConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, SparseConfig)
        self.condition_columns = config.condition
        self.hurdle = Hurdle(calorimeter, config.components)
        self.energies = LayerFlow(
            calorimeter, config.condition, config.flow_transforms, config.flow_hidden
        )
        self.done: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """Training steps so far."""

    @property
    @abstractmethod
    def latents(self) -> int:
        """Latents of a shower."""

    @abstractmethod
    def draw(self, energy: torch.Tensor, condition: torch.Tensor, noise: Drawn) -> torch.Tensor:
        """Cells (B, L, C) in MeV of layers with these energies (B, L) in MeV."""

    @abstractmethod
    def losses(self, rows: torch.Tensor, condition: torch.Tensor) -> Losses:
        """Minus ln p of the cells (B, L, C) in MeV: hits, levels, and the latents' divergence.

        Averages over showers; ``condition`` (B, C) in MeV, rad, mm.
        """

    @property
    def _normals(self) -> tuple[int, int, int]:
        return self.calorimeter.n_layers, self.latents, self.calorimeter.n_cells

    @property
    def latent(self) -> Latent:
        """Uniform numbers: one for each cell, and those that become normal ones.

        These are for the layers' energies, the latents, and the cells.
        """
        normals = sum(self._normals)
        return Latent(self.calorimeter.n_cells + normals + normals % 2, "uniform")

    def preprocessing(self) -> dict[str, Any]:
        """How layers and cells are described."""
        return {
            "layers": "ln(visible share), logits of shares of the energy left, standardised",
            "cells": "hit or not, standardised ln(energy - threshold)",
        }

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        precision = dtype_of(self.config.inference)
        given, noise = condition.to(precision), noise.to(precision)
        cells, table = self.calorimeter.n_cells, self.hurdle.table
        normal = normal_from_uniform(noise[:, cells:])[:, : sum(self._normals)]
        of_layers, latents, of_cells = normal.split_with_sizes(self._normals, -1)
        energy = infer(self.energies, given, of_layers)
        drawn = Drawn(latents, table.rows(noise[:, :cells]), table.rows(of_cells))
        return table.cells(self.draw(energy, given, drawn)).float()

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take means, spreads and usual cells, unless the model has them from an earlier training.

        Its weights are made for those.
        """
        self.done.zero_()
        if not self.hurdle.fitted:
            self.hurdle.fit(sample.showers)
            self.energies.fit(sample.showers)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the energy stage and for the cells; their learning rate follows the steps."""
        energies = list(self.energies.parameters())
        own = {id(parameter) for parameter in energies}
        others = [parameter for parameter in self.parameters() if id(parameter) not in own]
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "energies": torch.optim.Adam(energies, self.config.learning_rate),
            "cells": torch.optim.Adam(others, self.config.learning_rate),
        }
        return self._optimizers

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """A step of the energy stage and one of the cells."""
        done = int(self.done) / self.config.steps
        self.done += 1
        for optimizer in self._optimizers.values():
            set_rate(optimizer, self.config.learning_rate * one_cycle(done, warm_up=WARM_UP))
        rows = self.hurdle.table.rows(batch.energy)
        energies = self.energies.loss(rows.sum(-1), batch.condition)
        update("energies", energies, {"energies": energies.detach()})
        parts = self.losses(rows, batch.condition)
        weight = self.config.divergence_weight * self._risen(done)
        seen = {name: value.detach() for name, value in parts.items()}
        update("cells", parts["hits"] + parts["levels"] + weight * parts["divergence"], seen)
        return {"energies": energies.detach(), **{f"cells/{k}": v for k, v in seen.items()}}

    def _risen(self, done: float) -> float:
        """The divergence's weight over its final one, after the share ``done`` of the steps."""
        rise = self.config.divergence_rise
        return 1.0 if done >= rise else FIRST_WEIGHT + (1.0 - FIRST_WEIGHT) * done / rise
