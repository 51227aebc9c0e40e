"""A shower layer by layer: energies first, then each layer given those in front of it.

    p(shower | particle) = p(layers' energies | particle) x prod_i p(layer i | layers < i, energies)

The factors are those of L2LFlows (S. Diefenbacher et al., JINST 18 (2023) P10017,
arXiv:2302.11594) and of iCaloFlow (M. Buckley et al., Phys. Rev. D 109 (2024) 033006,
arXiv:2305.11934, where one network serves all layers but the first). The energies come from a flow
(:mod:`~caloforge.models.sparse.layer_flow`). Within a layer those use normalising flows of all its
cells; 625 mostly empty cells make such a flow too large for a CPU. Here a layer is made as in the
variational recurrent network (J. Chung et al., NeurIPS 2015, arXiv:1506.02216): a memory of the
layers in front gives a prior of a few latents; memory and latents give the density of the cells
(:mod:`~caloforge.models.sparse.hurdle`); the cells and the latents then change the memory. An
encoder that sees the layer turns the likelihood into a bound, which training maximises.

Different from that network: all that is said of a layer includes its energy, the one in front, and
the particle; latents and memory enter without networks of their own.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import nn

from caloforge.geometry import Calorimeter
from caloforge.models.base import ModelConfig
from caloforge.models.latents import divergence, sample
from caloforge.models.precision import infer
from caloforge.models.recurrent.networks import Layers, Sizes
from caloforge.models.sparse import Drawn, Hurdle, Sparse, SparseConfig


class RecurrentConfig(SparseConfig):
    """Sizes of the networks."""

    latents: PositiveInt = 12
    """Of every layer."""
    memory: PositiveInt = 96
    hidden: PositiveInt = 128


class Recurrent(Sparse):
    """Autoregressive: energies first, then layer by layer with latents and a memory."""

    kind = "recurrent"
    config_class = RecurrentConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, RecurrentConfig)
        self.config: RecurrentConfig = config
        self.layers = Layers(
            Sizes(
                layers=self.hurdle.table.layers,
                cells=self.hurdle.table.columns,
                known=len(config.condition) + 2,
                latents=config.latents,
                memory=config.memory,
                hidden=config.hidden,
                size=self.hurdle.size,
            )
        )

    @property
    def latents(self) -> int:
        """Latents of a shower."""
        return self.calorimeter.n_layers * self.config.latents

    def draw(self, energy: torch.Tensor, condition: torch.Tensor, noise: Drawn) -> torch.Tensor:
        """Cells (B, L, C) in MeV, see :meth:`Sparse.draw`."""
        latents = noise.latents.reshape(-1, self.calorimeter.n_layers, self.config.latents)
        known = self._known(energy, condition)
        drawing = _Drawing(self.layers, self.hurdle)
        rows: torch.Tensor = infer(drawing, known, energy, latents, noise.uniform, noise.normal)
        return rows

    def _known(self, energy: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Of every layer (B, L, C + 2): the particle, its energy, and that of the one in front."""
        features = self.energies.features(energy, condition)
        front = torch.cat([torch.zeros_like(features[:, :1]), features[:, :-1]], -1)
        particle = self.energies.known(condition)[:, None].expand(-1, features.shape[1], -1)
        return torch.cat([particle, features[..., None], front[..., None]], -1)

    def losses(self, rows: torch.Tensor, condition: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of the latents and cells of all layers, see :meth:`Sparse.losses`."""
        hit, level = self.hurdle.levels(rows)
        told = self.layers.told(self._known(rows.sum(-1), condition))
        seen = self.layers.seen(hit, level)
        memory = self.layers.start(told[:, 0])
        memories, latents, apart = [], [], []
        for i in range(told.shape[1]):
            mean, log_variance = self.layers.after(memory, told[:, i], seen[:, i])
            z = sample(mean, log_variance)
            prior = self.layers.before(memory, told[:, i])
            apart.append(divergence(mean, log_variance, *prior))
            memories.append(memory)
            latents.append(z)
            memory = self.layers.remember(memory, told[:, i], seen[:, i], z)
        numbers = self.layers.cells(torch.stack(memories, 1), told, torch.stack(latents, 1))
        hits, levels = self.hurdle.losses(numbers, hit, level)
        total = torch.stack(apart, 1).sum(1)
        return {"hits": hits.mean(), "levels": levels.mean(), "divergence": total.mean()}


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
