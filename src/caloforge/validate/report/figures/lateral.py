"""Lateral profiles: mean energy against the distance from the axis, and along x and y."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.profiles import lateral_edges
from caloforge.validate.report.figures.style import (
    draw_shapes,
    head_room,
    legend,
    log_height,
    panels,
    ratio_panel,
)

TITLE = "Lateral profiles"
CAPTION = (
    "Mean energy around the calorimeter axis and along x and y, all layers together: look at the "
    "halo far from the core, and for a tilt between left and right."
)
NAMES = {"radius": "distance from the axis [mm]", "x": "x [mm]", "y": "y [mm]"}


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    figure, above, below = panels(3)
    for main, small, (axis, name) in zip(above, below, NAMES.items(), strict=True):
        edges = lateral_edges(comparison.reference.calorimeter, axis)
        width = np.diff(edges)
        reference, *generated = (
            (
                sample.profiles.lateral[axis].mean / width,
                sample.profiles.lateral[axis].error / width,
            )
            for sample in comparison.summaries
        )
        draw_shapes(main, edges, reference, generated, comparison.labels)
        log_height(main, reference[0], 2.0)
        head_room(main, 1.25)
        main.set_xlim(edges[0], edges[-1])
        ratio_panel(small, edges, reference, generated)
        small.set_xlabel(name)
    above[0].set_ylabel("mean energy [MeV/mm]")
    legend(above[0], comparison.labels, "upper right")
    return figure
