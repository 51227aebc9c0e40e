"""The layered model: energies, shapes, cells.

Three parts, each with a density that can be computed, so that training is plain maximum
likelihood: the energy stage (:mod:`.energies`), the shape stage (:mod:`.shapes`), and the cells
(:mod:`.cells`). First the encoder and decoder of the cells learn; then they rest, and the two
stages learn the layers' numbers; at last the decoder learns against what the sampler draws
(:mod:`.refine`). Drawing is :mod:`caloforge.sampling`, without torch.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
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
from caloforge.models.layered.cells import Cells
from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.energies import MARGIN, EnergyStage
from caloforge.models.layered.features import Moments, features, range_of, spread_of
from caloforge.models.layered.hits import Hits
from caloforge.models.layered.refine import Redraw
from caloforge.models.layered.shapes import SMEAR, ShapeStage
from caloforge.models.layered.symmetry import Mirrors
from caloforge.sampling import LayeredSampler
from caloforge.sampling.frame import Frame
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
    *(f"refine/{name}" for name in ("field", "drawn_field", "energies", "drawn_energies")),
    *(f"refine/held_{name}" for name in ("hits", "moments")),
)
"""Minus ln p per shower (the last phase: up to constants, and half a chi2 for what is held); NaN in
steps that do not train this part."""

LEAST_HIT = 1e-9
"""MeV; cells with less are empty where the calorimeter has no threshold of its own."""

AT_ONCE = 256
"""Showers of the sample that are looked at together."""


class Framed(NamedTuple):
    """Showers in their frames.

    ``hits`` in the frame; ``begin`` (B, L): the frame's cell that lies on the layer's first one;
    ``moments`` (B, L, 6), see :class:`Moments`; ``apart`` (B, L): distance from the frame's middle
    to the particle's line in cells, ``crossing`` (B, L, 0 or 1) the same for the networks, see
    :meth:`~caloforge.sampling.frame.Frame.crossing`; ``known`` (B, n): what the networks know of
    the particle.
    """

    hits: Hits
    begin: torch.Tensor
    moments: torch.Tensor
    apart: torch.Tensor
    crossing: torch.Tensor
    known: torch.Tensor

    @property
    def hit(self) -> torch.Tensor:
        """Layers with hits (B, L)."""
        return self.moments[..., 1] > 0


class Layered(GradientModel):
    """Generates showers layer by layer, as sparse cells, for any calorimeter."""

    kind = "layered"
    config_class = LayeredConfig
    exportable = False
    in_parts = False  # counts its steps

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, LayeredConfig)
        self.config: LayeredConfig = config
        self.condition_columns = config.condition
        self.frame = Frame(calorimeter, config.model_dump())
        inner, grid = self.frame.inner, self.frame.grid
        layers = len(grid.number)
        conditions = len(config.network_condition)
        self.moments = Moments(grid)
        self.mirrors = Mirrors(inner, config.condition)
        self.cells = Cells(grid, config, conditions + config.crossings)
        self.energies = EnergyStage(layers, conditions, config)
        self.shapes = ShapeStage(layers, conditions, config)
        self._redraw = Redraw(self.cells, self.frame, config, calorimeter.cell_threshold)
        self.done: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """Steps of the training so far."""
        number = torch.from_numpy(inner.number)
        self.number: torch.Tensor = nn.Buffer(number, persistent=False)
        place = torch.empty(calorimeter.n_cells, dtype=torch.int64)
        real = (number.flatten() >= 0).nonzero()[:, 0]
        place[number.flatten()[real]] = real
        self._least = max(calorimeter.cell_threshold, LEAST_HIT)
        self.place: torch.Tensor = nn.Buffer(place, persistent=False)
        """Of every cell of the calorimeter: layer * C + its place in the layer."""
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
        energy = showers.energy[showers.energy >= self._least]
        self.cells.spectra.fit(energy, self._least)
        parts = [self._look(showers[k : k + AT_ONCE]) for k in range(0, len(showers), AT_ONCE)]
        found = list(zip(*parts, strict=True))
        moments, apart, known = (torch.cat(some) for some in found[:3])
        hit, there = (torch.stack(some).sum(0) for some in found[3:])
        self.cells.begin((hit + 0.3) / (there + 1.0))
        self.energies.fit(moments[..., 0], moments[..., 1], known)
        raw = features(moments, HITS_OFFSET)
        raw[..., 2] -= apart
        is_hit = (moments[..., 1:2] > 0).expand_as(raw)
        mean, std = spread_of(raw, is_hit)
        self.cells.feature_mean.copy_(mean)
        self.cells.feature_std.copy_(std)
        self.shapes.fit(range_of((raw - mean) / std, is_hit, MARGIN)[..., 2:])

    def _look(self, showers: Showers) -> tuple[torch.Tensor, ...]:
        """Of some showers: moments, apart and known (see :class:`Framed`).

        And how many hit each cell of the frame, and how many have it, (L, C).
        """
        columns = [showers.incident[name] for name in self.config.condition]
        condition = torch.from_numpy(np.column_stack(columns)).float()
        kept = showers.energy >= self._least
        shower = torch.from_numpy(showers.hit_shower[kept])
        place = self.place[torch.from_numpy(showers.cell[kept].astype(np.int64))]
        energy = torch.from_numpy(showers.energy[kept])
        framed = self._framed(shower, place, energy, condition)
        hits, there = framed.hits, self._there(framed.begin).sum(1).t()
        at = hits.layer * there.shape[1] + hits.cell
        hit = torch.bincount(at, minlength=there.numel()).view_as(there)
        return framed.moments, framed.apart, framed.known, hit, there

    def _hits(self, energy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, n_cells) MeV -> of the hits: showers, places and energies (n,)."""
        shower, cell = (energy >= self._least).nonzero(as_tuple=True)
        return shower, self.place[cell], energy[shower, cell]

    def _framed(
        self,
        shower: torch.Tensor,
        place: torch.Tensor,
        energy: torch.Tensor,
        condition: torch.Tensor,
    ) -> Framed:
        """Hits (see :meth:`_hits`) and conditions (B, C) in the showers' frames."""
        asked = condition.cpu().numpy()
        lies, line = self.frame.places(asked)
        found = lies, line, self.frame.crossing(line), self.frame.known(asked)
        begin, *of_line = (torch.from_numpy(part).to(condition.device) for part in found)
        apart, crossing, known = (part.float() for part in of_line)
        (layers, cells), columns = self.number.shape, self.frame.grid.number.shape[1]
        layer = place // cells
        size = torch.Size((columns, len(condition), layers))
        hits = Hits(shower * layers + layer, place % cells + begin[shower, layer], energy, size)
        return Framed(hits, begin, self.moments(hits), apart, crossing, known)

    def _there(self, begin: torch.Tensor) -> torch.Tensor:
        """Cells (C, B, L) of the frames that the calorimeter has; see :class:`Framed`."""
        place = torch.arange(self.frame.grid.number.shape[1], device=begin.device)
        place = place[:, None, None] - begin
        cells = self.number.shape[1]
        there = (place >= 0) & (place < cells)
        if not self.frame.margin:  # else all layers are alike
            there &= (self.number >= 0).t()[:, None]
        return there

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for each part; their learning rates follow the steps."""
        c = self.config
        stages = (
            ("energies", self.energies, c.energy_rate, c.energy_decay),
            ("shapes", self.shapes, c.shape_rate, c.shape_decay),
        )
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "cells": torch.optim.Adam(self.cells.parameters(), c.cell_rate, betas=(0.9, 0.99)),
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
        """A step of the cells; then of the two stages; at last of the decoder alone."""
        layers = self._images(batch)
        step = int(self.done)
        self.done += 1
        c = self.config
        if step < c.cell_steps:
            found = self._cell_step(layers, step, update)
        elif step < c.cell_steps + c.stage_steps:
            found = self._stage_step(layers, step - c.cell_steps, update)
        else:
            found = self._refine_step(layers, step - c.cell_steps - c.stage_steps, update)
        unknown = torch.tensor(torch.nan)
        return {name: found.get(name, unknown).detach() for name in LOSSES}

    def _images(self, batch: TrainingBatch) -> Framed:
        """Random mirror images of the batch."""
        shower, place, energy = self._hits(batch.energy)
        which = draws.integers(len(self.mirrors), len(batch.energy), device=energy.device)
        place = self.mirrors.places(shower, place, which)
        condition = self.mirrors.conditions(batch.condition, which)
        return self._framed(shower, place, energy, condition)

    def _cell_step(self, layers: Framed, step: int, update: Update) -> Losses:
        c = self.config
        there = self._there(layers.begin)
        parts = self.cells.losses(layers.hits, self._seen(layers), there, layers.hit)
        risen = min(1.0, 3.0 * step / c.cell_steps)
        weight = FIRST_WEIGHT + (c.latent_weight - FIRST_WEIGHT) * risen
        loss = parts["hits"] + parts["energies"] + weight * parts["latents"]
        self._set_rate("cells", c.cell_rate, step / c.cell_steps)
        update("cells", loss, parts)
        return {f"cells/{name}": value for name, value in parts.items()}

    def _refine_step(self, layers: Framed, gone: int, update: Update) -> Losses:
        c, hits, field = self.config, layers.hits, self.cells.field
        seen = self._seen(layers)
        with torch.no_grad():
            latents = self.cells.some_latents(hits, seen)
        resting = (self.cells.embedding, self.cells.spectra.network)  # the first is the encoder's
        for part in resting:
            part.requires_grad_(False)
        decoded = self.cells.decode(seen, latents)
        logits = self.cells.logits(decoded, self._there(layers.begin))
        drawn = self._redraw(decoded, hits.size, layers.moments, layers.begin)
        held = self.cells.misfit(decoded, logits, hits, layers.moments)
        parts = {
            "field": field.energy(logits, hits),
            "drawn_field": field.energy(logits, drawn),
            "energies": self.cells.energies(decoded, hits),
            "drawn_energies": self.cells.energies(decoded, drawn),
            **{f"held_{name}": value for name, value in held.items()},
        }
        contrast = parts["field"] - parts["drawn_field"]
        contrast = contrast + parts["energies"] - parts["drawn_energies"]
        loss = contrast + c.refine_hold * (held["hits"] + held["moments"])
        self._set_rate("cells", c.refine_rate, gone / max(c.refine_steps, 1))
        update("cells", loss, parts)
        for part in resting:
            part.requires_grad_(True)
        return {f"refine/{name}": value for name, value in parts.items()}

    def _seen(self, layers: Framed) -> torch.Tensor:
        """What encoder and decoder see (B, L, n): features, and what is known of the particle."""
        particle = self.energies.standardised(layers.known)[:, None]
        particle = particle.expand(-1, layers.hit.shape[1], -1)
        return torch.cat([self._features(layers), particle, layers.crossing], -1)

    def _features(self, layers: Framed, *, from_line: bool = False) -> torch.Tensor:
        """Standardised features (B, L, 6), zero where a layer is not hit.

        The centres are those in the frame, or, where asked for, counted from the particle's line.
        """
        raw = features(layers.moments, HITS_OFFSET)
        if from_line:
            raw[..., 2] -= layers.apart
        standard = (raw - self.cells.feature_mean) / self.cells.feature_std
        return torch.where(layers.hit[..., None], standard, 0.0)

    def _stage_step(self, layers: Framed, gone: int, update: Update) -> Losses:
        c, moments = self.config, layers.moments
        out: Losses = {}
        if gone < c.energy_steps:
            with torch.autocast(moments.device.type, enabled=False):
                parts = self.energies.losses(moments[..., 0], moments[..., 1], layers.known)
            self._set_rate("energies", c.energy_rate, gone / c.energy_steps)
            update("energies", torch.stack(list(parts.values())).sum(), parts)
            out |= {f"energies/{name}": value for name, value in parts.items()}
        if gone < c.shape_steps:
            value, told = self._layer_numbers(layers)
            loss = self.shapes.loss(value, told, self.energies.standardised(layers.known))
            self._set_rate("shapes", c.shape_rate, gone / c.shape_steps)
            update("shapes", loss, {"shapes": loss})
            out["shapes"] = loss
        return out

    @torch.no_grad()
    def _layer_numbers(self, layers: Framed) -> tuple[torch.Tensor, torch.Tensor]:
        """What the shape stage learns (B, L, size), and what it is told (B, L, n)."""
        latents = self.cells.some_latents(layers.hits, self._seen(layers))
        standard = self._features(layers, from_line=True)
        shape = standard[..., 2:]
        noise = draws.normal(*shape.shape, device=shape.device)
        shape = shape + noise * torch.tensor(SMEAR, device=shape.device)
        hit = layers.hit[..., None]
        value = torch.where(hit, torch.cat([shape, latents], dim=-1), 0.0)
        return value, torch.cat([standard[..., :2], hit.float(), layers.crossing], dim=-1)


def one_cycle(done: float) -> float:
    """Learning rate over its peak: up along a cosine over the first 5 %, then down to zero."""
    if done < WARM_UP:
        return 0.04 + 0.96 * 0.5 * (1.0 - math.cos(math.pi * done / WARM_UP))
    left = (done - WARM_UP) / (1.0 - WARM_UP)
    return max(1e-5, 0.5 * (1.0 + math.cos(math.pi * min(left, 1.0))))
