"""The energy stage: ln p of the visible energy, the layers' energies and the layers' hits.

The visible energy comes first, as a share of the incident one. Then, from the front to the back, a
layer is empty, hit, or the last that is hit (so that layers without hits are exact), takes a share
of the energy that is left (the last one all of it: the sum is exact, as with the voxel energies of
C. Krause, D. Shih, Phys. Rev. D 107 (2023) 113003), and gets its number of hits. A recurrent state
carries what was before. Twin: :mod:`caloforge.sampling.energies`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.models import draws
from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.features import range_of, spread_of
from caloforge.models.layered.mixtures import Chain, begin_apart, log_density, perceptron
from caloforge.sampling.energies import SEEN, STATES
from caloforge.sampling.layer_numbers import LEAST_LAYER, LEFT_CLIP

EMBEDDING = 16
CONTEXT = 32
HIDDEN = 64
MARGIN = 0.3
"""Standardised numbers may leave the training sample's range by this much."""

TRACKS = 2
LEAST_TRACKS = 0.05
"""A layer's energy is absolute where it has at most so many hits in more than this share of the
showers."""


class EnergyStage(nn.Module):
    """Density of the layers' energies and hits.

    Args:
        layers: number of layers.
        conditions: number of condition columns.
        config: sizes.
    """

    def __init__(self, layers: int, conditions: int, config: LayeredConfig) -> None:
        super().__init__()
        self.layers = layers
        size, components = config.energy_memory, config.components
        self.embedding = nn.Embedding(layers, EMBEDDING)
        self.total = perceptron([conditions, HIDDEN, HIDDEN, 3 * components], open_end=True)
        begin_apart(self.total[-1].bias, components)  # type: ignore[arg-type]
        self.context = perceptron([conditions + 1, HIDDEN, CONTEXT], open_end=True)
        inputs = SEEN + 1 + CONTEXT + EMBEDDING
        self.memory = nn.GRU(inputs, size, batch_first=True)
        self.mix = perceptron([size + inputs, size], open_end=False, dropout=config.energy_dropout)
        self.state = nn.Linear(size, STATES)
        self.chain = Chain(size, 2, config.width, components)
        self.condition_mean: torch.Tensor = nn.Buffer(torch.zeros(conditions))
        self.condition_std: torch.Tensor = nn.Buffer(torch.ones(conditions))
        self.total_fit: torch.Tensor = nn.Buffer(torch.zeros(3))
        self.total_std: torch.Tensor = nn.Buffer(torch.ones(()))
        self.total_bounds: torch.Tensor = nn.Buffer(torch.zeros(2))
        self.number_mean: torch.Tensor = nn.Buffer(torch.zeros(layers, 2))
        self.number_std: torch.Tensor = nn.Buffer(torch.ones(layers, 2))
        self.bounds: torch.Tensor = nn.Buffer(torch.zeros(layers, 2, 2))
        self.earliest_end: torch.Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))
        """First layer at which a shower of the sample ended: one early end would put all of a
        shower's energy into one layer."""
        self.left_mean: torch.Tensor = nn.Buffer(torch.zeros(layers))
        self.left_std: torch.Tensor = nn.Buffer(torch.ones(layers))
        self.absolute: torch.Tensor = nn.Buffer(torch.zeros(layers))
        """1 for layers with few hits: single tracks leave the same energy in any shower, while the
        others scale with the energy that is left."""

    def fit(self, energy: torch.Tensor, hits: torch.Tensor, condition: torch.Tensor) -> None:
        """Take means, spreads and ranges from layers (B, L) and conditions (B, C)."""
        self.condition_mean.copy_(condition.mean(0))
        self.condition_std.copy_(condition.std(0).clamp(min=1e-6))
        self.absolute.copy_(((hits > 0) & (hits <= TRACKS)).float().mean(0) > LEAST_TRACKS)
        total, state, number, left = self._numbers(energy, hits, condition)
        known = self.standardised(condition)[:, 0].double()
        powers = torch.stack([known**k for k in range(3)], dim=1)
        fit = torch.linalg.lstsq(powers, total.double()[:, None]).solution[:, 0]
        self.total_fit.copy_(fit)
        apart = total - self._expected(condition)
        self.total_std.copy_(apart.std())
        apart = apart / self.total_std
        self.total_bounds.copy_(torch.stack([apart.min() - MARGIN, apart.max() + MARGIN]))
        ends = (state == 2).any(0).nonzero()
        self.earliest_end.copy_(ends.min() if len(ends) else torch.tensor(0))
        used = torch.stack([state == 1, state > 0], dim=-1)
        mean, std = spread_of(number, used)
        self.number_mean.copy_(mean)
        self.number_std.copy_(std)
        self.bounds.copy_(range_of((number - mean) / std, used, MARGIN).transpose(0, 1))
        rest = left.log() - condition[:, :1]
        self.left_mean.copy_(rest.mean(0))
        self.left_std.copy_(rest.std(0) + 0.01)

    def standardised(self, condition: torch.Tensor) -> torch.Tensor:
        """Conditions (B, C), the first the logarithm of the incident energy, in network units."""
        return (condition - self.condition_mean) / self.condition_std

    def _expected(self, condition: torch.Tensor) -> torch.Tensor:
        known = self.standardised(condition)[:, 0]
        a, b, c = self.total_fit.unbind()
        expected: torch.Tensor = a + b * known + c * known**2
        return expected

    def _numbers(
        self, energy: torch.Tensor, hits: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """ln of the visible share (B,), states (B, L), numbers (B, L, 2), energy left (B, L).

        The first number is the logit of a layer's share of the energy left; where energies are
        absolute plus the logarithm of the latter, nearly that of the layer's energy.
        """
        energy = energy.double()
        total = energy.sum(-1)
        before = energy.cumsum(-1) - energy
        left = (total[:, None] - before).clamp(min=0.1 * LEAST_LAYER)
        on = hits > 0
        last = on & (on.flip(-1).cumsum(-1).flip(-1) == 1)
        share = (energy / left).clamp(1e-7, 1.0 - 1e-7)
        raw_hits = (hits - draws.uniform(*hits.shape, device=hits.device)).clamp(min=1e-3).log()
        of_energy = torch.logit(share) + self.absolute * left.log()
        number = torch.stack([of_energy.float(), raw_hits], dim=-1)
        visible = (total.clamp(min=LEAST_LAYER).log() - condition[:, 0]).float()
        return visible, on.long() + last.long(), number, left.float()

    def losses(
        self, energy: torch.Tensor, hits: torch.Tensor, condition: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Minus ln p per shower, in parts: visible energy, states, and shares and hits.

        Args:
            energy, hits: (B, L).
            condition: (B, C), the first the logarithm of the incident energy (MeV).
        """
        total, state, raw, left = self._numbers(energy, hits, condition)
        known = self.standardised(condition)
        apart = (total - self._expected(condition)) / self.total_std
        used = torch.stack([state == 1, state > 0], dim=-1)
        number = torch.where(used, (raw - self.number_mean) / self.number_std, 0.0)
        rest = (left.log() - condition[:, :1] - self.left_mean) / self.left_std
        x = self._inputs(state, number, rest.clamp(-LEFT_CLIP, LEFT_CLIP), known, apart)
        h = self.mix(torch.cat([self.memory(x)[0], x], dim=-1))
        choice = F.cross_entropy(
            self.state(h).flatten(0, 1), state.flatten(), reduction="none"
        ).view_as(state)
        over = (state == 2).cumsum(-1) - (state == 2).long() > 0
        return {
            "total": -log_density(self.total(known), apart).mean(),
            "states": (choice * ~over).sum(-1).mean(),
            "layers": -(self.chain(h, number) * used).sum((-1, -2)).mean(),
        }

    def _inputs(
        self,
        state: torch.Tensor,
        number: torch.Tensor,
        rest: torch.Tensor,
        known: torch.Tensor,
        apart: torch.Tensor,
    ) -> torch.Tensor:
        """What every layer sees: the one before it, the energy left, the shower, its place."""
        seen = torch.cat([F.one_hot(state, STATES).float(), number], dim=-1)
        seen = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, :-1]], dim=1)
        context = self.context(torch.cat([known, apart[:, None]], dim=-1))
        context = context[:, None].expand(-1, self.layers, -1)
        place = self.embedding.weight.expand(len(state), -1, -1)
        return torch.cat([seen, rest[..., None], context, place], dim=-1)
