"""What all two-stage models are told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caloforge.models.base import ModelConfig
from caloforge.models.conditions import Columns
from caloforge.models.precision import Inference
from caloforge.preprocess.layer_shares import NOISE
from caloforge.preprocess.shower_scaling import DELTA

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Small = Annotated[float, Field(gt=0.0, lt=0.1)]
Sizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Bins = Annotated[int, Field(ge=2)]


class TwoStageConfig(ModelConfig):
    """Condition, steps and learning rates of both stages, and how showers are drawn."""

    condition: Columns = ("energy",)
    """Incident columns that the showers depend on; the energy comes first."""
    noise: Small = NOISE
    """Width of the uniform noise on the cells' shares of their layers' energies."""
    delta: Small = DELTA
    """How far the logits of shares stay away from 0 and 1: the larger, the narrower are empty
    cells among the hit ones."""
    cut: Small | None = None
    """Shares below this are empty cells; the width of the noise when absent. Where real hits begin
    well above the noise, a cut between them keeps blurred empty cells from becoming hits."""

    energy_steps: PositiveInt
    shape_steps: PositiveInt
    """Steps of the two stages, which learn on the same batches, from the first one on."""
    energy_rate: PositiveFloat
    shape_rate: PositiveFloat
    """Largest learning rates; each rises over the first part of its steps and falls to zero."""
    energy_decay: NonNegativeFloat = 0.01
    shape_decay: NonNegativeFloat = 0.01
    """Weight decays."""
    warm_up: Share = 0.3
    """The share of the steps over which the learning rates rise."""
    rate_start: Share = 0.04
    """Where they begin, over the largest rate."""

    inference: Inference = "float64"
