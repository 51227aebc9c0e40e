"""CaloINN's coupling flow, in two stages: splines in one pass, trained by maximum likelihood.

Published for data set 1 of the CaloChallenge: 12 blocks, networks of four layers with 256, splines
of 10 bins in [-18, 18], batches of 512, one cycle of the learning rate up to 1e-4, weight decay
0.01; energy variables and voxels in one flow (18.8 M parameters for photons).

Source: F. Ernst et al., CaloINN, arXiv:2312.09290.
"""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from caloforge.models.flows.energy_couplings import EnergyCouplingsConfig, energy_couplings
from caloforge.models.flows.spline_couplings import SplineCouplings
from caloforge.models.twostage import Stage, TwoStage
from caloforge.models.twostage.config import Bins, Sizes


class CouplingFlowConfig(EnergyCouplingsConfig):
    """The published values are the defaults; the energies have a small flow of their own."""

    blocks: PositiveInt = 12
    hidden: Sizes = (256, 256, 256)
    bins: Bins = 10
    bound: PositiveFloat = 18.0
    """The shapes' coupling layers, their networks, and their splines."""

    energy_steps: PositiveInt = 50_000
    shape_steps: PositiveInt = 50_000
    energy_rate: PositiveFloat = 1e-3
    shape_rate: PositiveFloat = 1e-4


class CouplingFlow(TwoStage):
    """Spline coupling flow, one pass, for any calorimeter (CaloINN in two stages)."""

    kind = "coupling-flow"
    config_class = CouplingFlowConfig
    home = "calochallenge-1-photons"

    config: CouplingFlowConfig

    def _energy_stage(self, features: int, context: int) -> Stage:
        return energy_couplings(features, context, self.config)

    def _shape_stage(self, features: int, context: int) -> Stage:
        c = self.config
        return SplineCouplings(
            features, context, blocks=c.blocks, hidden=c.hidden, bins=c.bins, bound=c.bound
        )
