"""The layered model: energies, shapes, cells.

Three parts, each with a density that can be computed, so that training is plain maximum
likelihood: the energy stage (:mod:`.energies`), the shape stage (:mod:`.shapes`), and the cells
(:mod:`.cells`). First the encoder and decoder of the cells learn; then they rest, and the two
stages learn the layers' numbers; at last the decoder learns against what the sampler draws
(:mod:`.refine`). Drawing is :mod:`caloforge.sampling`, without torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
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
from caloforge.models.layered.cells import Cells
from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.energies import MARGIN, EnergyStage
from caloforge.models.layered.features import Moments, features, range_of, spread_of
from caloforge.models.layered.refine import Redraw
from caloforge.models.layered.shapes import SMEAR, ShapeStage
from caloforge.models.layered.symmetry import Mirrors
from caloforge.sampling import LayeredSampler
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.layer_numbers import HITS_OFFSET
from caloforge.sampling.random import KEY_SIZE
from caloforge.showers import Showers

Losses = dict[str, torch.Tensor]

WARM_UP = 0.05
"""Share of the steps over which a learning rate rises."""

FIRST_WEIGHT = 0.05
"""Weight of the divergence of the learned numbers at the first step."""

LOSSES = (
    *(f"cells/{name}" for name in ("hits", "energies", "latents")),
    *(f"energies/{name}" for name in ("total", "states", "layers")),
    "shapes",
    *(f"refine/{name}" for name in ("hits", "energies", "drawn_hits", "drawn_energies")),
)
"""Minus ln p per shower; NaN in steps that do not train this part."""

AT_ONCE = 256
"""Showers of the sample that are looked at together."""


class Layered(GradientModel):
    """Generates showers layer by layer, as sparse cells, for any calorimeter."""

    kind = "layered"
    config_class = LayeredConfig
    exportable = False

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, LayeredConfig)
        self.config: LayeredConfig = config
        self.condition_columns = config.condition
        grid = LayerGrid.of(calorimeter)
        layers, cells = grid.number.shape
        conditions = len(config.condition)
        self.moments = Moments(grid)
        self.mirrors = Mirrors(grid, config.condition)
        self.cells = Cells(layers, cells, config)
        self.energies = EnergyStage(layers, conditions, config)
        self.shapes = ShapeStage(layers, conditions, config)
        self._redraw = Redraw(self.cells, grid, config, calorimeter.cell_threshold)
        self.done: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """Steps of the training so far."""
        number = torch.from_numpy(grid.number)
        self.number: torch.Tensor = nn.Buffer(number, persistent=False)
        self.sampler: LayeredSampler | None = None

    @property
    def latent(self) -> Latent:
        """The key of the shower's own random numbers."""
        return Latent(KEY_SIZE, "uniform")

    def preprocessing(self) -> dict[str, Any]:
        """How a layer's numbers and cells are described."""
        return {
            "layer": "ln E, ln(hits - 0.5), centres, ln(widths + 0.3), standardised per layer",
            "cells": f"{self.config.bins} bins of equal hits and energy",
        }

    def train(self, mode: bool = True) -> Layered:
        """As every torch module; forgets the sampler of earlier weights."""
        self.sampler = None
        return super().train(mode)

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        if self.sampler is None:
            state = {name: value.cpu().numpy() for name, value in self.state_dict().items()}
            self.sampler = LayeredSampler(self.calorimeter, self.config.model_dump(), state)
        dense = self.sampler.dense(condition.cpu().numpy(), noise.cpu().numpy())
        return torch.from_numpy(dense).to(condition.device)

    # --------------------------------------------------------------- training

    def prepare(self, sample: TrainingSample) -> None:
        """Take means, spreads, ranges and the bins of the spectra from the sample.

        A model that has learned before keeps its own, which its weights are made for.
        """
        if self.done > 0:
            return
        showers = sample.showers
        threshold = self.calorimeter.cell_threshold
        energy = showers.energy[showers.energy >= threshold]
        self.cells.spectra.fit(energy, threshold)
        moments, share = self._look(showers)
        columns = [showers.incident[name] for name in self.config.condition]
        condition = _logarithmic(torch.from_numpy(np.column_stack(columns)).float())
        self.cells.begin(share)
        self.energies.fit(moments[..., 0], moments[..., 1], condition)
        raw = features(moments, HITS_OFFSET)
        hit = (moments[..., 1:2] > 0).expand_as(raw)
        mean, std = spread_of(raw, hit)
        self.cells.feature_mean.copy_(mean)
        self.cells.feature_std.copy_(std)
        self.shapes.fit(range_of((raw - mean) / std, hit, MARGIN)[..., 2:])

    def _look(self, showers: Showers) -> tuple[torch.Tensor, torch.Tensor]:
        """Moments (n, L, 6) of the sample, and the share of its showers that hit each cell."""
        moments = []
        hit = torch.zeros(self.number.shape)
        for first in range(0, len(showers), AT_ONCE):
            dense = torch.from_numpy(showers[first : first + AT_ONCE].dense())
            cells = self._cells(dense)
            moments.append(self.moments(cells))
            hit += (cells > 0).sum(0)
        return torch.cat(moments), (hit + 0.3) / (len(showers) + 1.0)

    def _cells(self, energy: torch.Tensor) -> torch.Tensor:
        """(B, n_cells) MeV -> (B, L, C), zero below the threshold and where there is no cell."""
        cells = energy[:, self.number.clamp(min=0)]
        least = max(self.calorimeter.cell_threshold, 1e-9)
        return torch.where((self.number >= 0) & (cells >= least), cells, 0.0)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for each part; their learning rates follow the steps."""
        c = self.config
        stages = (
            ("energies", self.energies, c.energy_rate, c.energy_decay),
            ("shapes", self.shapes, c.shape_rate, c.shape_decay),
        )
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "cells": torch.optim.Adam(self.cells.parameters(), c.cell_rate, betas=(0.9, 0.99)),
            "refine": torch.optim.Adam(self.cells.drawing(), c.refine_rate, betas=(0.9, 0.99)),
            **{
                name: torch.optim.AdamW(stage.parameters(), rate, weight_decay=decay)
                for name, stage, rate, decay in stages
            },
        }
        return self._optimizers

    def _set_rate(self, optimizer: str, peak: float, done: float) -> None:
        """Learning rate after the share ``done`` of the steps."""
        for group in self._optimizers[optimizer].param_groups:
            group["lr"] = peak * one_cycle(done)

    def training_step(self, batch: TrainingBatch, update: Update) -> Losses:
        """A step of the cells, or, once they have learned, of the two stages."""
        cells, condition = self._images(batch)
        step = int(self.done)
        self.done += 1
        c = self.config
        if step < c.cell_steps:
            found = self._cell_step(cells, step, update)
        elif step >= c.cell_steps + c.stage_steps:
            found = self._refine_step(cells, step - c.cell_steps - c.stage_steps, update)
        else:
            found = self._stage_step(cells, _logarithmic(condition), step, update)
        unknown = torch.tensor(torch.nan)
        return {name: found.get(name, unknown).detach() for name in LOSSES}

    def _images(self, batch: TrainingBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Random mirror images of the batch, as (B, L, C) cells, and their conditions."""
        cells = self._cells(batch.energy)
        which = torch.randint(len(self.mirrors), (len(cells),), device=cells.device)
        image, condition = self.mirrors(cells, batch.condition, which)
        return image, condition

    def _cell_step(self, cells: torch.Tensor, step: int, update: Update) -> Losses:
        c = self.config
        moments = self.moments(cells)
        hit = moments[..., 1] > 0
        parts = self.cells.losses(cells, self._features(moments, HITS_OFFSET), hit)
        risen = min(1.0, 3.0 * step / c.cell_steps)
        weight = FIRST_WEIGHT + (c.latent_weight - FIRST_WEIGHT) * risen
        loss = parts["hits"] + parts["energies"] + weight * parts["latents"]
        self._set_rate("cells", c.cell_rate, step / c.cell_steps)
        update("cells", loss, parts)
        return {f"cells/{name}": value for name, value in parts.items()}

    def _refine_step(self, cells: torch.Tensor, gone: int, update: Update) -> Losses:
        c = self.config
        moments = self.moments(cells)
        hit = moments[..., 1] > 0
        features_ = self._features(moments, HITS_OFFSET)
        with torch.no_grad():
            latents = self.cells.some_latents(cells, features_)
        decoded = self.cells.decode(features_, latents)
        parts = self.cells.surprise(decoded, cells, hit)
        drawn = self.cells.surprise(decoded, self._redraw(decoded, moments), hit)
        loss = torch.stack([parts[name] - c.refine_weight * drawn[name] for name in parts]).sum()
        self._set_rate("refine", c.refine_rate, gone / max(c.refine_steps, 1))
        parts |= {f"drawn_{name}": value for name, value in drawn.items()}
        update("refine", loss, parts)
        return {f"refine/{name}": value for name, value in parts.items()}

    def _features(self, moments: torch.Tensor, offset: float) -> torch.Tensor:
        """Standardised features (B, L, 6), zero where a layer is not hit."""
        raw = features(moments, offset)
        standard = (raw - self.cells.feature_mean) / self.cells.feature_std
        return torch.where(moments[..., 1:2] > 0, standard, 0.0)

    def _stage_step(
        self, cells: torch.Tensor, condition: torch.Tensor, step: int, update: Update
    ) -> Losses:
        c = self.config
        moments = self.moments(cells)
        gone = step - c.cell_steps
        out: Losses = {}
        if gone < c.energy_steps:
            with torch.autocast(cells.device.type, enabled=False):
                parts = self.energies.losses(moments[..., 0], moments[..., 1], condition)
            self._set_rate("energies", c.energy_rate, gone / c.energy_steps)
            update("energies", torch.stack(list(parts.values())).sum(), parts)
            out |= {f"energies/{name}": value for name, value in parts.items()}
        if gone < c.shape_steps:
            value, known = self._layer_numbers(cells, moments)
            loss = self.shapes.loss(value, known, self.energies.standardised(condition))
            self._set_rate("shapes", c.shape_rate, gone / c.shape_steps)
            update("shapes", loss, {"shapes": loss})
            out["shapes"] = loss
        return out

    @torch.no_grad()
    def _layer_numbers(
        self, cells: torch.Tensor, moments: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the shape stage learns (B, L, size), and what it knows (B, L, 3)."""
        standard = self._features(moments, HITS_OFFSET)
        latents = self.cells.some_latents(cells, standard)
        shape = standard[..., 2:]
        shape = shape + torch.randn_like(shape) * torch.tensor(SMEAR, device=shape.device)
        hit = moments[..., 1:2] > 0
        value = torch.where(hit, torch.cat([shape, latents], dim=-1), 0.0)
        known = torch.cat([standard[..., :2], hit.float()], dim=-1)
        return value, known


def _logarithmic(condition: torch.Tensor) -> torch.Tensor:
    """Conditions with the logarithm of the incident energy (the first column)."""
    return torch.cat([condition[:, :1].log(), condition[:, 1:]], dim=1)


def one_cycle(done: float) -> float:
    """Learning rate over its peak: up along a cosine over the first 5 %, then down to zero."""
    if done < WARM_UP:
        return 0.04 + 0.96 * 0.5 * (1.0 - math.cos(math.pi * done / WARM_UP))
    left = (done - WARM_UP) / (1.0 - WARM_UP)
    return max(1e-5, 0.5 * (1.0 + math.cos(math.pi * min(left, 1.0))))
