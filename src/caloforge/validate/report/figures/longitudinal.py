"""Longitudinal profile: mean energy per layer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    common_edges,
    draw_shapes,
    head_room,
    layer_axis,
    legend,
    panels,
    ratio_panel,
    share,
)

TITLE = "Longitudinal profile"
CAPTION = (
    "Left: mean energy per layer, the ratio shows where the shower starts or stops too early. "
    "Right: mean depth of every shower, its fluctuation."
)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    samples = comparison.summaries
    figure, (main, other), (below, other_below) = panels(2)
    edges = np.arange(comparison.reference.calorimeter.n_layers + 1, dtype=np.float64) - 0.5
    reference, *generated = (
        (sample.profiles.longitudinal.mean, sample.profiles.longitudinal.error)
        for sample in samples
    )
    draw_shapes(main, edges, reference, generated, comparison.labels)
    main.set_ylabel("mean energy per layer [MeV]")
    head_room(main)
    legend(main, comparison.labels, "upper right")
    ratio_panel(below, edges, reference, generated)
    layer_axis(below)
    main.set_xlim(edges[0], edges[-1])
    values = [sample.observables.depth[sample.observables.filled] for sample in samples]
    bins = common_edges(*values)
    reference, *generated = (share(depths, bins) for depths in values)
    draw_shapes(other, bins, reference, generated, comparison.labels)
    other.set_ylabel("share of showers")
    head_room(other)
    ratio_panel(other_below, bins, reference, generated)
    other_below.set_xlabel("mean depth of the energy [mm]")
    other.set_xlim(bins[0], bins[-1])
    return figure
