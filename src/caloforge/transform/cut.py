"""Only showers whose quantity lies in a range."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import NonNegativeInt, field_validator, model_validator

from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.quantities import INCIDENT, SHOWER, first_hadronic, quantity
from caloforge.transform.tally import Tally

EDGE = 2e-7
"""A value this near to a bound (relative) lies inside: it was rounded to float32 on its way."""


class Cut(Step):
    """Keep the showers whose ``quantity`` lies in [``low``, ``high``]; None leaves an end open.

    Quantities: ``energy`` (incident, MeV), ``theta``, ``phi``, ``opening_angle`` (rad), ``x``,
    ``y``, ``z`` (mm), ``pdg``; ``total_energy`` (visible, MeV), ``hits``, and ``h_over_e``: energy
    from layer ``hadronic_from`` on over the energy before (see :func:`first_hadronic`).
    Angles are compared as they are stored, without turning round. The bounds hold up to
    :data:`EDGE`.
    """

    kind: ClassVar[str] = "cut"

    quantity: str
    low: float | None = None
    high: float | None = None
    hadronic_from: NonNegativeInt | None = None

    @field_validator("quantity")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (*INCIDENT, *SHOWER):
            known = ", ".join((*INCIDENT, *SHOWER))
            raise ValueError(f"unknown quantity '{name}', known are {known}")
        return name

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError(f"the cut on {self.quantity} has no bound")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f"the cut on {self.quantity} keeps nothing: {self.low:g} is above {self.high:g}"
            )
        if self.hadronic_from is not None and self.quantity != "h_over_e":
            raise ValueError(f"hadronic_from is for h_over_e, not for {self.quantity}")
        return self

    @property
    def on_incident(self) -> bool:
        """Whether the incident table alone decides."""
        return self.quantity in INCIDENT

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The same cells.

        Raises:
            GeometryError: h_over_e, and the hadronic layers cannot be told.
        """
        if self.quantity == "h_over_e":
            first_hadronic(before, self.hadronic_from)
        return before

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The showers inside the range.

        Raises:
            GeometryError: h_over_e, and the hadronic layers cannot be told.
            ShowerError: the incident table lacks the column.
        """
        tally.enter(showers)
        value = quantity(showers, self.quantity, self.hadronic_from)
        kept = np.ones(len(showers), dtype=np.bool_)
        if self.low is not None:
            kept &= value >= self.low - EDGE * abs(self.low)
        if self.high is not None:
            kept &= value <= self.high + EDGE * abs(self.high)
        tally.add(dropped=int(np.count_nonzero(~kept)))
        return showers if kept.all() else showers[kept]

    def note(self, tally: Tally) -> str | None:
        """How many showers were left out."""
        if tally.dropped == 0:
            return None
        return f"cut on {self.quantity}: {tally.dropped} of {tally.seen} showers are left out"
