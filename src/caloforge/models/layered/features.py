"""The numbers that describe a layer, from its cells."""

from __future__ import annotations

import torch
from torch import nn

from caloforge.models.layered.hits import Hits
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.layer_numbers import LEAST_LAYER, WIDTH_OFFSET


class Moments(nn.Module):
    """Energy, hits, centres and widths of layers; not saved, it follows from the calorimeter."""

    def __init__(self, grid: LayerGrid) -> None:
        super().__init__()
        x, y = (torch.from_numpy(values).float() for values in (grid.x, grid.y))
        basis = torch.stack([torch.ones_like(x), x, y, x**2, y**2], -1)
        self.basis: torch.Tensor = nn.Buffer(basis, persistent=False)

    def forward(self, hits: Hits) -> torch.Tensor:
        """Of the layers of hits, (B, L, 6): E (MeV), hits, centres x, y, widths x, y (cells)."""
        energy = hits.energy[:, None]
        values = energy * self.basis[hits.layer, hits.cell]
        sums = hits.sums(torch.cat([torch.ones_like(energy), values], dim=1))
        number, total = sums[..., 0], sums[..., 1]
        mean = sums[..., 2:] / total.clamp(min=1e-9)[..., None]
        centre, square = mean[..., :2], mean[..., 2:]
        width = (square - centre**2).clamp(min=0.0).sqrt()
        return torch.cat([torch.stack([total, number], -1), centre, width], dim=-1)


def features(moments: torch.Tensor, offset: torch.Tensor | float) -> torch.Tensor:
    """(..., 6) moments -> ln E, ln(hits - offset), centres, ln(widths + 0.3)."""
    energy = moments[..., 0].clamp(min=LEAST_LAYER).log()
    hits = (moments[..., 1] - offset).clamp(min=1e-3).log()
    widths = (moments[..., 4:] + WIDTH_OFFSET).log()
    return torch.cat([torch.stack([energy, hits], -1), moments[..., 2:4], widths], dim=-1)


def spread_of(values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation over the first axis where ``mask``; 0 and 1 where too few."""
    chosen = torch.where(mask, values, torch.nan)
    enough = mask.sum(0) >= 10
    mean = torch.where(enough, chosen.nanmean(0), 0.0)
    std = ((chosen - mean) ** 2).nanmean(0).sqrt()
    return mean, torch.where(enough & (std > 1e-6), std, 1.0)


def range_of(values: torch.Tensor, mask: torch.Tensor, margin: float) -> torch.Tensor:
    """Lowest and highest value (2, ...) over the first axis where ``mask``, and a bit more."""
    low = torch.where(mask, values, torch.inf).amin(0)
    high = torch.where(mask, values, -torch.inf).amax(0)
    known = torch.isfinite(low)
    low, high = torch.where(known, low, 0.0), torch.where(known, high, 0.0)
    return torch.stack([low - margin, high + margin])
