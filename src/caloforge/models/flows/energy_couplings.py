"""An energy stage of spline coupling layers, and its sizes in a configuration."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from caloforge.models.flows.spline_couplings import SplineCouplings
from caloforge.models.twostage import TwoStageConfig
from caloforge.models.twostage.config import Bins, Sizes


class EnergyCouplingsConfig(TwoStageConfig):
    """Of models whose energies come from a spline coupling flow."""

    energy_blocks: PositiveInt = 8
    energy_hidden: Sizes = (64, 64)
    energy_bins: Bins = 10
    energy_bound: PositiveFloat = 10.0
    """The energies' coupling layers, their networks, and their splines."""


def energy_couplings(features: int, context: int, config: EnergyCouplingsConfig) -> SplineCouplings:
    """The flow of ``features`` energy variables given ``context`` numbers."""
    return SplineCouplings(
        features,
        context,
        blocks=config.energy_blocks,
        hidden=config.energy_hidden,
        bins=config.energy_bins,
        bound=config.energy_bound,
    )
