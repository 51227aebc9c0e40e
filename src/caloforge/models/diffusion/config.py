"""Configuration of the diffusion model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from caloforge.models.flows.energy_couplings import EnergyCouplingsConfig
from caloforge.models.twostage.config import Share, Sizes


class DiffusionConfig(EnergyCouplingsConfig):
    """CaloClouds II's training; CaloDREAM's network for the shapes."""

    width: PositiveInt = 2000
    blocks: PositiveInt = 2
    gates: bool = False
    """The shapes' network, see :class:`~caloforge.models.twostage.resnet.ResNet`."""
    energy_blocks: PositiveInt = 10
    energy_hidden: Sizes = (128, 128)

    sigma_data: PositiveFloat = 0.5
    """The standardised shapes are scaled to this standard deviation."""
    sigma_mean: float = -1.2
    sigma_spread: PositiveFloat = 1.2
    """ln(sigma) in training is normal."""
    sigma_min: PositiveFloat = 0.002
    sigma_max: PositiveFloat = 80.0
    rho: PositiveFloat = 7.0
    steps: Annotated[int, Field(ge=2)] = 18
    """Noise levels of drawing (of 2 x 18 - 1 evaluations) and of the distillation."""
    average_power: PositiveFloat = 2.0 / 3.0
    average_most: Share = 0.9999
    """The weights' moving average, with which showers are drawn: decay 1 - (1 + step)^-power, at
    most this."""

    distil_steps: NonNegativeInt = 0
    """Steps after ``shape_steps`` in which a student learns to draw in one step; 0: no student."""
    distil_average: Share = 0.95
    """Decay of the student's moving average: its own target, and what draws showers."""
    distil_rate: PositiveFloat = 1e-4

    energy_steps: PositiveInt = 100_000
    shape_steps: PositiveInt = 1_000_000
    energy_rate: PositiveFloat = 1e-3
    shape_rate: PositiveFloat = 1e-4
    """Constant for the shapes."""
    shape_decay: NonNegativeFloat = 0.0
