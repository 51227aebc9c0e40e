"""Distribution of the number of hits in bins of incident energy."""

from __future__ import annotations

from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.by_energy import distributions_by_energy

TITLE = "Hits, energy by energy"
CAPTION = "Number of cells above the threshold of showers of low, middle and high energy."


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    return distributions_by_energy(comparison, lambda part: part.hits, "number of hits")
