"""How many cells lie in which range of energies, for 3DGAN's optional loss."""

from __future__ import annotations

import torch
from torch import nn

EDGES = (0.05, 0.03, 0.02, 0.0125, 0.008, 0.003)
"""Upper edges in units of the variable-angle files, 50 per GeV: 1 MeV to 60 keV in a cell."""

SOFTNESS = 0.1
"""Width of an edge for the gradient, over its position."""


class BinCounts(nn.Module):
    """Counts cells above the first edge, between the edges, below the last one, and empty ones.

    The counts are the published ones. Their own gradient is zero everywhere, so that as published
    the loss moves no weight; here the gradient is that of counting with edges of finite width
    (:data:`SOFTNESS`), a logistic function.

    Args:
        power: what the cells' energies were raised to.

    Source: public code of the variable-angle 3DGAN.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        edges = torch.tensor(EDGES) ** power
        self.edges: torch.Tensor = nn.Buffer(edges, persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (B, 1, X, Y, Z) in network units -> (B, 8)."""
        above = [self._above(image.flatten(1), edge) for edge in self.edges.unbind()]
        above.append((image.flatten(1) > 0).float().sum(1))
        every = torch.full_like(above[0], image[0].numel())
        counts = [
            a - b for a, b in zip([*above, every], [torch.zeros_like(every), *above], strict=True)
        ]
        return torch.stack(counts, dim=1)

    @staticmethod
    def _above(cells: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
        soft = torch.sigmoid((cells - edge) / (SOFTNESS * edge)).sum(1)
        hard = (cells > edge).float().sum(1)
        return soft + (hard - soft).detach()

    @torch.no_grad()
    def targets(self, image: torch.Tensor) -> torch.Tensor:
        """The counts of real images; an empty bin counts as 1, as it is divided by."""
        found: torch.Tensor = self(image)
        return found.clamp(min=1.0)
