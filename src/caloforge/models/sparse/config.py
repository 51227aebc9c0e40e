"""What the models of sparse cells are told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from caloforge.models.base import ModelConfig
from caloforge.models.conditions import Columns
from caloforge.models.precision import Inference


class SparseConfig(ModelConfig):
    """Condition, energy stage, density of the cells, and training."""

    condition: Columns = ("energy",)
    """Incident columns that the showers depend on; the energy comes first."""
    flow_transforms: PositiveInt = 3
    flow_hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64)
    """The energy stage: coupling layers, and the hidden layers of their networks."""
    components: PositiveInt = 2
    """Normal densities in the mixture of a cell's level."""

    steps: PositiveInt = 10_000
    """Training steps over which the learning rate rises to its peak and falls to zero."""
    learning_rate: PositiveFloat = 2e-3
    """Its peak."""
    divergence_weight: NonNegativeFloat = 1.0
    """Of the latents' Kullback-Leibler divergence; 1 makes the loss the evidence bound."""
    divergence_rise: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the steps over which this weight rises: else the latents may stay unused."""

    inference: Inference = "float64"
