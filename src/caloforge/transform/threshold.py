"""Cells below a threshold are set to zero."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import NonNegativeFloat

from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.tally import Tally


class Threshold(Step):
    """Cells below ``energy`` (MeV) are set to zero; a cell of exactly that energy is kept.

    What is taken away counts as ``removed`` in the tally. A shower may become empty.
    """

    kind: ClassVar[str] = "threshold"

    energy: NonNegativeFloat

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The showers without the cells below the threshold."""
        tally.enter(showers)
        after = showers.above_threshold(self.energy)
        energies = showers.energy.sum(dtype=np.float64), after.energy.sum(dtype=np.float64)
        if after.n_hits < showers.n_hits:
            tally.add(removed=float(energies[0] - energies[1]))
        return after

    def note(self, tally: Tally) -> str | None:
        """How much energy lay below the threshold."""
        if tally.removed == 0.0:
            return None
        return (
            f"threshold: {tally.removed:.6g} MeV ({tally.percent(tally.removed)} of the visible "
            f"energy) lies in cells below {self.energy:g} MeV and is set to zero"
        )
