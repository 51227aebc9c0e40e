"""Cell energies in network units: a threshold, a factor and a power.

3DGAN: below 1e-6 GeV -> 0, x100; at variable angle (50 x GeV)^0.85.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat

MEV_PER_GEV = 1000.0


class EnergyScaling(BaseModel):
    """``factor`` x GeV, cells below ``threshold`` MeV set to zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: PositiveFloat = 100.0
    threshold: NonNegativeFloat = 0.001

    def forward(self, energy: torch.Tensor) -> torch.Tensor:
        """MeV -> network units."""
        scaled = energy * (self.factor / MEV_PER_GEV)
        return torch.where(energy < self.threshold, torch.zeros_like(scaled), scaled)

    def inverse(self, scaled: torch.Tensor) -> torch.Tensor:
        """Network units -> MeV, cut at the threshold."""
        energy = scaled * (MEV_PER_GEV / self.factor)
        return torch.where(energy < self.threshold, torch.zeros_like(energy), energy)


class PowerScaling(EnergyScaling):
    """(``factor`` x GeV) to a ``power``: less far apart than the energies."""

    factor: PositiveFloat = 50.0
    power: PositiveFloat = 0.85

    def forward(self, energy: torch.Tensor) -> torch.Tensor:
        """MeV -> network units."""
        return torch.pow(super().forward(energy), self.power)

    def inverse(self, scaled: torch.Tensor) -> torch.Tensor:
        """Network units (not negative) -> MeV, cut at the threshold."""
        # a tensor, as exporters write bare numbers as float32
        exponent = torch.tensor(1.0 / self.power, dtype=scaled.dtype, device=scaled.device)
        return super().inverse(torch.pow(scaled, exponent))
