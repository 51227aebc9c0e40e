"""Configuration of the layered model."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from caloforge.models.base import ModelConfig
from caloforge.models.conditions import Columns

Sizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class LayeredConfig(ModelConfig):
    """Sizes of the networks, steps of the training, and how cells are drawn."""

    condition: Columns = ("energy",)
    """Incident columns that the showers depend on; the energy comes first."""

    margin: NonNegativeInt = 0
    """Columns by which the shower's frame is wider than the calorimeter, on both sides; 0 for
    normal incidence. See :mod:`caloforge.sampling.frame`."""
    depth: float = 0.0
    """Depth (mm) at which the networks are told the point on the particle's line."""

    latents: PositiveInt = 8
    """Learned numbers of a layer, beside its energy, hits, centres and widths."""
    encoder: Sizes = (256, 128)
    decoder: Sizes = (224, 224, 96)
    bins: PositiveInt = 128
    """Bins of the cells' spectra."""
    spectra_grid: Annotated[int, Field(ge=2)] = 64
    """Nodes a side of the grid of tabulated spectra."""
    spectra_knots: Annotated[int, Field(ge=4)] = 32
    """Coefficients of the spline that tells a node's spectrum from the others."""
    components: PositiveInt = 6
    """Gaussians of every mixture."""
    width: PositiveInt = 24
    """Inner size of the small network of every number of a layer."""
    energy_memory: PositiveInt = 96
    shape_memory: PositiveInt = 112
    """Sizes of the recurrent states of the two stages."""

    cell_steps: PositiveInt = 5000
    """Steps of the encoder and the decoder; then come the steps of the two stages."""
    energy_steps: PositiveInt = 4000
    shape_steps: PositiveInt = 6500
    refine_steps: NonNegativeInt = 2400
    """Steps at the end in which the decoder learns against the sampler's own draws."""
    cell_rate: PositiveFloat = 2e-3
    energy_rate: PositiveFloat = 2e-3
    shape_rate: PositiveFloat = 2e-3
    refine_rate: PositiveFloat = 7e-4
    """Largest learning rates; each rises over the first 5 % of its steps and falls to zero."""
    energy_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.15
    energy_decay: NonNegativeFloat = 3e-2
    shape_decay: NonNegativeFloat = 1e-2
    """Weight decays of the two stages."""
    latent_weight: NonNegativeFloat = 0.3
    """Weight of the learned numbers' Kullback-Leibler divergence, reached after a third of the
    steps of the cells."""

    refine_hold: NonNegativeFloat = 0.1
    """Weight in the last phase of what the sampler's draws do not depend on, since a layer's hits
    and moments are given: the expected ones. Else they drift."""

    tries: NonNegativeFloat = 3.0
    """Tries to move a hit of a layer, for each of its hits and ten more."""
    tolerances: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.02, 0.04, 0.08)
    """How near the cells come to a layer's energy (relative), centres and widths (cells)."""

    @property
    def network_condition(self) -> tuple[str, ...]:
        """What the networks know of the particle; ``z`` only says where x and y are."""
        return tuple(name for name in self.condition if name != "z")

    @property
    def crossings(self) -> int:
        """Numbers that say where the line crosses a layer's cell: one where frames follow it."""
        return int(self.margin > 0)

    @property
    def stage_steps(self) -> int:
        """Steps of the two stages, which learn at the same time."""
        return max(self.energy_steps, self.shape_steps)
