"""Distribution of the response Etot / Einc."""

from __future__ import annotations

from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    common_edges,
    draw_shapes,
    head_room,
    legend,
    panels,
    ratio_panel,
    share,
)

TITLE = "Response"
CAPTION = (
    "Visible over incident energy of every shower: position and width must both match, and so "
    "must the tails."
)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    values = [sample.observables.response for sample in comparison.summaries]
    edges = common_edges(*values)
    reference, *generated = (share(sample, edges) for sample in values)
    figure, (main,), (below,) = panels(1, width=6.4)
    draw_shapes(main, edges, reference, generated, comparison.labels)
    main.set_ylabel("share of showers")
    head_room(main)
    legend(main, comparison.labels, "upper right")
    ratio_panel(below, edges, reference, generated)
    below.set_xlabel(r"$E_{tot}\,/\,E_{inc}$")
    main.set_xlim(edges[0], edges[-1])
    return figure
