"""Distribution of the response in bins of incident energy."""

from __future__ import annotations

from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.by_energy import distributions_by_energy

TITLE = "Response, energy by energy"
CAPTION = (
    "Visible over incident energy of showers of low, middle and high energy: what agrees over the "
    "whole spectrum may hide two errors that cancel."
)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    label = r"$E_{tot}\,/\,E_{inc}$"
    return distributions_by_energy(comparison, lambda part: part.response, label)
