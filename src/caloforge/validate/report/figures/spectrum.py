"""Spectrum of the cell energies and number of hits."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    common_edges,
    draw_shapes,
    head_room,
    legend,
    log_height,
    panels,
    ratio_panel,
    share,
)

TITLE = "Cell energies and hits"
CAPTION = (
    "Left: hits per shower in bins of cell energy; the peak of a minimum-ionising particle and the "
    "hard tail are hard to learn. Right: number of cells above the threshold."
)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    ref, gen = comparison.reference, comparison.generated
    figure, (main, other), (below, other_below) = panels(2)
    edges = ref.spectrum_edges
    shapes = [
        (sample.spectrum[1:-1] / len(sample), np.sqrt(sample.spectrum[1:-1]) / len(sample))
        for sample in (ref, gen)
    ]
    draw_shapes(main, edges, shapes[0], shapes[1], comparison.labels)
    main.set_xscale("log")
    log_height(main, shapes[0][0], 3.0)
    main.set_xlim(edges[0], edges[-1])
    main.set_ylabel("hits per shower and bin")
    ratio_panel(below, edges, shapes[0], shapes[1])
    below.set_xlabel("cell energy [MeV]")
    bins = common_edges(ref.observables.hits, gen.observables.hits)
    bins = np.unique(np.round(bins)) - 0.5 if bins[-1] - bins[0] > 40 else bins
    shares = share(ref.observables.hits, bins), share(gen.observables.hits, bins)
    draw_shapes(other, bins, *shares, comparison.labels)
    other.set_ylabel("share of showers")
    head_room(other)
    other.set_xlim(bins[0], bins[-1])
    legend(other, comparison.labels, "upper right")
    ratio_panel(other_below, bins, *shares)
    other_below.set_xlabel("number of hits")
    return figure
