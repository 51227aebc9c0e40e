"""Cell energies times a factor: other units, a calibration."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, PositiveFloat

from caloforge.errors import GeometryError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.hits import keep_hits
from caloforge.transform.tally import Tally


class Scale(Step):
    """Every cell energy times ``factor``, and times its layer's factor where ``layers`` is given.

    Computed in float64 and rounded once; a cell that rounds to zero is left out. Incident energies
    and the calorimeter's threshold stay as they are.
    """

    kind: ClassVar[str] = "scale"

    factor: PositiveFloat = 1.0
    layers: tuple[PositiveFloat, ...] | None = Field(default=None, min_length=1)

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The same cells.

        Raises:
            GeometryError: not one factor per layer.
        """
        if self.layers is not None and len(self.layers) != before.n_layers:
            raise GeometryError(
                f"scale: {len(self.layers)} factors for the {before.n_layers} layers of "
                f"'{before.name}'; give one per layer, or one for all"
            )
        return before

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The showers with other energies.

        Raises:
            ShowerError: a cell energy becomes too large for a float32.
        """
        calorimeter = self.calorimeter(showers.calorimeter)
        tally.enter(showers)
        by_layer = self.factor * np.array(self.layers or (1.0,) * calorimeter.n_layers)
        with np.errstate(over="ignore", under="ignore"):
            factor = by_layer[calorimeter.cell_layer[showers.cell]]
            energy = (showers.energy.astype(np.float64) * factor).astype(np.float32)
        if not np.isfinite(energy).all():
            raise ShowerError(
                f"scale: a cell of {showers.energy.max():g} MeV times {by_layer.max():g} is too "
                "large for float32; use a smaller factor"
            )
        return keep_hits(showers, energy > 0, energy=energy)
