"""The likelihood of sparse cells: hit or not, and the logarithm of the energy where hit.

A cell is hit with a probability, and ln(energy - threshold) of a hit follows a mixture of normal
densities; given the network's numbers the cells are independent. Such hurdle (or two-part) models
are J. Cragg's, Econometrica 39 (1971) 829; for the sparse images of particle physics see Y. Lu et
al., "SARM", Phys. Rev. D 103 (2021) 036012.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from caloforge.geometry import Calorimeter
from caloforge.models.sparse.layer_table import LayerTable
from caloforge.showers import Showers

LEAST_HIT = 1e-9
"""MeV; less is no hit where the calorimeter has no threshold of its own."""

LEAST_EXCESS = 1e-3
"""In thresholds: hits that are nearer to it count as this much above it."""

SPREADS = (-4.0, 2.0)
"""Limits of the logarithms of the spreads."""

MARGIN = 0.3
"""Standardised levels may leave the training sample's range by this much."""

TINY = 1e-30
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class Hurdle(nn.Module):
    """Density of the cells of layers given ``size`` numbers for each; and how to draw them.

    Cells come as rows of a :class:`.LayerTable`, (..., C) for a layer.
    The numbers are counted from the training sample's: the logit of a cell's hits, and its mean
    level. A level is the standardised logarithm of what a hit has above the threshold.

    Args:
        calorimeter: any.
        components: normal densities of a mixture.
    """

    def __init__(self, calorimeter: Calorimeter, components: int) -> None:
        super().__init__()
        self.components = components
        self.size = 1 + 3 * components
        self.table = LayerTable(calorimeter)
        self.threshold = calorimeter.cell_threshold
        self.least = max(self.threshold, LEAST_HIT)
        shape = self.table.layers, self.table.columns
        self.usual_hit: torch.Tensor = nn.Buffer(torch.zeros(shape))
        self.usual_level: torch.Tensor = nn.Buffer(torch.zeros(shape))
        self.mean: torch.Tensor = nn.Buffer(torch.zeros(()))
        self.std: torch.Tensor = nn.Buffer(torch.ones(()))
        self.bounds: torch.Tensor = nn.Buffer(torch.tensor([-MARGIN, MARGIN]))
        apart = torch.linspace(-1.0, 1.0, components) if components > 1 else torch.zeros(1)
        self.apart: torch.Tensor = nn.Buffer(apart, persistent=False)

    def fit(self, showers: Showers) -> None:
        """Take the usual cells, and mean, spread and range of the levels, from a sample."""
        kept = showers.energy >= self.least
        cell = torch.from_numpy(showers.cell[kept]).long()
        raw = self._logarithm(torch.from_numpy(showers.energy[kept])).double()
        self.mean.copy_(raw.mean())
        self.std.copy_(raw.std().clamp(min=1e-3))
        level = (raw - self.mean) / self.std
        self.bounds.copy_(torch.stack([level.min() - MARGIN, level.max() + MARGIN]))
        cells = showers.calorimeter.n_cells
        hits = torch.bincount(cell, minlength=cells).double()
        usual_hit = torch.logit((hits + 0.3) / (len(showers) + 1.0))
        usual_level = torch.bincount(cell, level, minlength=cells) / (hits + 1.0)
        self.usual_hit.copy_(self.table.rows(usual_hit[None])[0])
        self.usual_level.copy_(self.table.rows(usual_level[None])[0])

    @property
    def fitted(self) -> bool:
        """Whether a sample has been seen."""
        return bool((self.usual_hit != 0.0).any())

    def levels(self, energy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of cells (...,) in MeV: whether hit (1 or 0), and the level (0 where not hit)."""
        hit = energy >= self.least
        level = (self._logarithm(energy) - self.mean) / self.std
        return hit.to(energy.dtype), torch.where(hit, level, torch.zeros_like(level))

    def _logarithm(self, energy: torch.Tensor) -> torch.Tensor:
        floor = max(LEAST_EXCESS * self.threshold, LEAST_HIT)
        return (energy - self.threshold).clamp(min=floor).log()

    def losses(
        self, numbers: torch.Tensor, hit: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Minus ln p per shower (B,): of which cells are hit, and of the levels of the hits.

        Args:
            numbers: (B, L, C, size) from a network.
            hit, level: (B, L, C), see :meth:`levels`.
        """
        logit, weight, mean, spread = self._densities(numbers.float(), slice(None))
        missed = (F.softplus(logit) - hit * logit) * self.table.there
        pull = (level[..., None] - mean) * torch.exp(-spread)
        parts = weight - 0.5 * pull**2 - spread - _HALF_LOG_2PI
        return missed.sum((-1, -2)), -(hit * torch.logsumexp(parts, -1)).sum((-1, -2))

    def _densities(
        self, numbers: torch.Tensor, row: int | slice
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of hits (..., C); ln of weights, means, ln of spreads (..., C, K)."""
        k, dtype = self.components, numbers.dtype
        logit = numbers[..., 0] + self.usual_hit[row].to(dtype)
        weight = torch.log_softmax(numbers[..., 1 : 1 + k], -1)
        usual = self.usual_level[row].to(dtype)[..., None] + self.apart.to(dtype)
        mean = numbers[..., 1 + k : 1 + 2 * k] + usual
        return logit, weight, mean, numbers[..., 1 + 2 * k :].clamp(*SPREADS)

    def draw(
        self,
        numbers: torch.Tensor,
        uniform: torch.Tensor,
        normal: torch.Tensor,
        energy: torch.Tensor,
        row: int | slice = slice(None),
    ) -> torch.Tensor:
        """Cells (..., C) in MeV of all layers, or of one; they add up to the layers' energies.

        Args:
            numbers: (..., C, size) from a network.
            uniform: (..., C) in [0, 1]: says which cells are hit, and by which component.
            normal: (..., C).
            energy: (...,) of the layers, MeV; one of at least the threshold has a hit.
            row: the layer; all of them when absent.
        """
        logit, weight, mean, spread = self._densities(numbers, row)
        dtype = numbers.dtype
        chance = torch.sigmoid(logit)
        outside = torch.full_like(chance, math.inf)
        lack = torch.where(self.table.there[row] > 0.0, uniform - chance, outside)
        hit = (lack < 0.0) | (lack <= lack.amin(-1, keepdim=True))
        if self.components > 1:
            behind = weight.exp().cumsum(-1)[..., :-1]
            rest = (uniform / chance)[..., None]
            chosen = (rest >= behind).sum(-1, keepdim=True).clamp(max=self.components - 1)
            mean, spread = mean.gather(-1, chosen), spread.gather(-1, chosen)
        centre, width = mean.squeeze(-1), spread.squeeze(-1).exp()
        low, high = self.bounds.to(dtype).unbind()
        level = torch.minimum(torch.maximum(centre + width * normal, low), high)
        cells = torch.exp(level * self.std.to(dtype) + self.mean.to(dtype)) + self.threshold
        return self._scaled(torch.where(hit, cells, torch.zeros_like(cells)), energy)

    def _scaled(self, cells: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
        """Cells (..., C) that add up to ``energy`` (...,), none below the threshold."""
        for _ in range(2):  # what the threshold takes the first time goes to the others
            cells = cells * (energy / cells.sum(-1).clamp(min=TINY))[..., None]
            cells = torch.where(cells < self.least, torch.zeros_like(cells), cells)
        return cells
