"""CaloDREAM's conditional flow matching with residual networks, in two stages.

A network learns the velocity x1 - x0 of straight paths x_t = (1 - t) x0 + t x1 from normal noise to
data; showers are drawn by following it. Published for data set 1 of the CaloChallenge: energies by
8 blocks of width 256, batches of 1000, one cycle at 1e-3; shapes by 2 blocks of width 2000, batches
of 4000, from 5e-4 up to 1e-3, weight decay 0.005; midpoint steps of 0.01.

Source: Y. Lipman et al., arXiv:2210.02747; L. Favaro et al., CaloDREAM, arXiv:2405.09629.
"""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch.nn import functional as F

from caloforge.models import draws
from caloforge.models.flows.solvers import Solver, integrate
from caloforge.models.twostage import Stage, TwoStage, TwoStageConfig
from caloforge.models.twostage.config import Share
from caloforge.models.twostage.resnet import ResNet


class FlowMatchingConfig(TwoStageConfig):
    """The published networks and learning rates are the defaults."""

    width: PositiveInt = 2000
    blocks: PositiveInt = 2
    gates: bool = False
    """The shapes' network, see :class:`~caloforge.models.twostage.resnet.ResNet`."""
    energy_width: PositiveInt = 256
    energy_blocks: PositiveInt = 8

    solver: Solver = "midpoint"
    steps: PositiveInt = 20
    """How showers are drawn; the publication takes 100 steps of the midpoint rule."""
    energy_solver: Solver = "midpoint"
    energy_solver_steps: PositiveInt = 20

    energy_steps: PositiveInt = 100_000
    shape_steps: PositiveInt = 100_000
    energy_rate: PositiveFloat = 1e-3
    shape_rate: PositiveFloat = 1e-3
    shape_decay: float = 0.005
    warm_up: Share = 0.1
    rate_start: Share = 0.5


class Velocity(Stage):
    """Draws along a learned velocity.

    Args:
        network: the velocity.
        solver: rule of the steps.
        steps: how many.
    """

    def __init__(self, network: ResNet, solver: Solver, steps: int) -> None:
        super().__init__()
        self.network = network
        self.solver: Solver = solver
        self.steps = steps

    def forward(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Normal numbers (B, n) -> a draw."""

        def velocity(x: torch.Tensor, time: float) -> torch.Tensor:
            out: torch.Tensor = self.network(x, torch.full_like(x[:, :1], time), context)
            return out

        return integrate(velocity, noise, self.solver, self.steps)

    def loss(self, value: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Mean square of the error of the velocity, at a random time of every shower."""
        n, device = len(value), value.device
        time = draws.uniform(n, 1, device=device)
        noise = draws.normal(n, value.shape[1], device=device)
        at = (1.0 - time) * noise + time * value
        return F.mse_loss(self.network(at, time, context), value - noise)


class FlowMatching(TwoStage):
    """Conditional flow matching for any calorimeter (CaloDREAM)."""

    kind = "flow-matching"
    config_class = FlowMatchingConfig
    home = "calochallenge-1-photons"

    config: FlowMatchingConfig

    def _energy_stage(self, features: int, context: int) -> Stage:
        c = self.config
        network = ResNet(features, context, c.energy_width, c.energy_blocks)
        return Velocity(network, c.energy_solver, c.energy_solver_steps)

    def _shape_stage(self, features: int, context: int) -> Stage:
        c = self.config
        network = ResNet(features, context, c.width, c.blocks, gates=c.gates)
        return Velocity(network, c.solver, c.steps)
