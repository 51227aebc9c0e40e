"""Two stages: the energy variables given the particle, then the cells' shares given both.

A stage of its own for the energies makes the visible energy and the layers' energies as exact as a
small network can; the second one only says how a layer's energy is spread over its cells. What
they see is :class:`~caloforge.preprocess.ShowerScaling`.

Source: C. Krause, D. Shih, Phys. Rev. D 107 (2023) 113003; L. Favaro et al., arXiv:2405.09629.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

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
from caloforge.models.precision import dtype_of, infer
from caloforge.models.schedule import one_cycle, set_rate
from caloforge.models.twostage.config import TwoStageConfig
from caloforge.models.twostage.stage import Stage
from caloforge.preprocess import ShowerScaling

Losses = dict[str, torch.Tensor]

AT_ONCE = 256
"""Showers of the sample that are looked at together."""


class TwoStage(GradientModel):
    """Base of the models of two stages; a child says which."""

    config: TwoStageConfig
    in_parts = False  # counts its steps

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, TwoStageConfig)
        self.condition_columns = config.condition
        self.scaling = ShowerScaling(
            calorimeter, config.condition, config.noise, config.delta, config.cut
        )
        known = len(config.condition)
        self.energies = self._energy_stage(calorimeter.n_layers, known)
        self.shapes = self._shape_stage(calorimeter.n_cells, known + calorimeter.n_layers)
        self.done: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """Training steps so far."""

    @abstractmethod
    def _energy_stage(self, features: int, context: int) -> Stage:
        """Energy variables given the condition."""

    @abstractmethod
    def _shape_stage(self, features: int, context: int) -> Stage:
        """Shares given the condition and the energy variables."""

    @property
    def latent(self) -> Latent:
        """A normal number for every layer and every cell."""
        return Latent(self.calorimeter.n_layers + self.calorimeter.n_cells)

    def preprocessing(self) -> dict[str, Any]:
        """How cells become what the networks see."""
        return {
            "energies": "u_0 = visible / incident, then each layer's part of what is left; logits",
            "shapes": "logits of the cells' parts of their layer, standardised",
            "noise": self.scaling.split.noise,
            "delta": self.scaling.delta,
            "cut": self.scaling.split.cut,
        }

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        precision = dtype_of(self.config.inference)
        condition, noise = condition.to(precision), noise.to(precision)
        layers = self.calorimeter.n_layers
        known = self.scaling.conditions(condition)
        variables = infer(self.energies, noise[:, :layers], known)
        shapes = infer(self.shapes, noise[:, layers:], torch.cat([known, variables], -1))
        energies = self.scaling.layers(condition[:, 0], variables)
        energy: torch.Tensor = self.scaling.cells(shapes, energies).float()
        below = energy < self.calorimeter.cell_threshold
        return torch.where(below, torch.zeros_like(energy), energy)

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take the condition's ranges, and means and spreads of all numbers; count from zero."""
        showers, parts = sample.showers, range(0, len(sample.showers), AT_ONCE)
        blocks = (showers[first : first + AT_ONCE] for first in parts)
        pairs = (
            (torch.from_numpy(block.incident.energy.copy()), torch.from_numpy(block.dense()))
            for block in blocks
        )
        self.scaling.fit(pairs, sample.ranges)
        self.done.zero_()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One AdamW for each stage; their learning rates follow the steps."""
        c = self.config
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "energies": adamw(self.energies, c.energy_rate, c.energy_decay),
            **self._shape_optimizers(),
        }
        return self._optimizers

    def _shape_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"shapes": adamw(self.shapes, self.config.shape_rate, self.config.shape_decay)}

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """A step of each stage that has steps left."""
        step = int(self.done)
        self.done += 1
        n, layers = len(batch.energy), self.calorimeter.n_layers
        device = batch.energy.device
        known = self.scaling.conditions(batch.condition)
        draw = draws.uniform(n, layers, device=device)
        variables = self.scaling.variables(batch.condition[:, 0], batch.energy, draw)
        found: Losses = {}
        if step < self.config.energy_steps:
            found["energies"] = self.energies.loss(variables, known)
            self._cycle("energies", self.config.energy_rate, step / self.config.energy_steps)
            update("energies", found["energies"], found)
        draw = draws.uniform(n, batch.energy.shape[1], device=device)
        shapes = self.scaling.shapes(batch.energy, draw)
        found |= self._shape_step(step, shapes, torch.cat([known, variables], -1), update)
        unknown = torch.tensor(torch.nan)
        return {name: found.get(name, unknown).detach() for name in self.loss_names()}

    def loss_names(self) -> tuple[str, ...]:
        """All losses; they are NaN in steps that do not train their part."""
        return ("energies", "shapes")

    def _shape_step(
        self, step: int, shapes: torch.Tensor, context: torch.Tensor, update: Update
    ) -> Losses:
        """A step of the second stage; returns its losses."""
        loss = self.shapes.loss(shapes, context)
        self._cycle("shapes", self.config.shape_rate, step / self.config.shape_steps)
        update("shapes", loss, {"shapes": loss})
        return {"shapes": loss}

    def _cycle(self, optimizer: str, peak: float, done: float) -> None:
        """Set the learning rate after the share ``done`` of an optimizer's steps."""
        c = self.config
        share = one_cycle(done, start=c.rate_start, warm_up=c.warm_up)
        set_rate(self._optimizers[optimizer], peak * share)


def adamw(network: nn.Module, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW in one kernel: wide networks spend much of a step on a CPU there."""
    return torch.optim.AdamW(network.parameters(), rate, weight_decay=decay, fused=True)
