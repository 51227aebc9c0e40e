"""Longitudinal profile in bins of incident energy."""

from __future__ import annotations

from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.by_energy import profiles_by_energy

TITLE = "Longitudinal profile, energy by energy"
CAPTION = (
    "Mean energy per layer of showers of low, middle and high energy: the maximum must move "
    "deeper with the logarithm of the energy."
)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    return profiles_by_energy(comparison)
