"""The shape stage: a diffusion model, and its student that draws in one step.

The student f learns by consistency distillation: from data with noise of one level, f shall give
what it gives after the teacher has gone one step of Heun's method to the next lower level. There
it is judged by a moving average of itself.

Source: E. Buhmann et al., CaloClouds II, arXiv:2309.05704; Y. Song et al., Consistency models,
arXiv:2303.01469.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from caloforge.models import draws
from caloforge.models.diffusion.average import WeightAverage
from caloforge.models.diffusion.config import DiffusionConfig
from caloforge.models.diffusion.edm import Denoiser, draw, heun_step, noise_levels
from caloforge.models.twostage import Stage
from caloforge.models.twostage.resnet import ResNet


class DiffusionShapes(Stage):
    """Shapes (B, features) given a context (B, context)."""

    def __init__(self, features: int, context: int, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.levels = noise_levels(config.steps, config.sigma_min, config.sigma_max, config.rho)
        self.teacher = self._denoiser(features, context, 0.0)
        self.average = WeightAverage(self.teacher)
        self.distilled = False
        """Whether the student draws."""
        if config.distil_steps:
            self.student = self._denoiser(features, context, config.sigma_min)
            self.target = WeightAverage(self.student)

    def _denoiser(self, features: int, context: int, least: float) -> Denoiser:
        c = self.config
        network = ResNet(features, context, c.width, c.blocks, gates=c.gates)
        return Denoiser(network, c.sigma_data, least)

    def forward(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Draws by the student in one step, else by Heun's method along all levels."""
        scale = self.config.sigma_data
        if not self.distilled:
            return draw(self._teach(context), noise, self.levels) / scale
        top = torch.full_like(noise[:, :1], self.levels[0])
        found: torch.Tensor = self.target.run(self.student, noise * top, top, context)
        return found / scale

    def _teach(self, context: torch.Tensor) -> _Teacher:
        return _Teacher(self, context)

    def loss(self, value: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The teacher's loss at a random noise level of every shower."""
        c, n, device = self.config, len(value), value.device
        sigma = (c.sigma_mean + c.sigma_spread * draws.normal(n, 1, device=device)).exp()
        noise = draws.normal(n, value.shape[1], device=device)
        return self.teacher.loss(value * c.sigma_data, noise, sigma, context)

    def begin_student(self) -> None:
        """The student begins as the teacher's moving average."""
        self.student.load_state_dict(self.average.weights(), strict=False)
        self.target.update(self.student, 0.0)

    def consistency_loss(self, value: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The student's loss between two neighbouring noise levels, others for every shower."""
        n, device = len(value), value.device
        levels = torch.tensor(self.levels, device=device)
        which = (draws.uniform(n, device=device) * (len(levels) - 1)).long()
        sigma, lower = levels[which][:, None], levels[which + 1][:, None]
        noise = draws.normal(n, value.shape[1], device=device)
        noisy = value * self.config.sigma_data + sigma * noise
        with torch.no_grad():
            cleaner = heun_step(self._teach(context), noisy, sigma, lower)
            goal = self.target.run(self.student, cleaner, lower, context)
        return F.mse_loss(self.student(noisy, sigma, context), goal)


class _Teacher:
    """The teacher's averaged denoiser in one context."""

    def __init__(self, stage: DiffusionShapes, context: torch.Tensor) -> None:
        self._stage, self._context = stage, context

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._stage.average.run(self._stage.teacher, x, sigma, self._context)
        return found
