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
    samples = comparison.summaries
    figure, (main, other), (below, other_below) = panels(2)
    edges = comparison.reference.spectrum_edges
    reference, *generated = (
        (sample.spectrum[1:-1] / len(sample), np.sqrt(sample.spectrum[1:-1]) / len(sample))
        for sample in samples
    )
    draw_shapes(main, edges, reference, generated, comparison.labels)
    main.set_xscale("log")
    log_height(main, reference[0], 3.0)
    main.set_xlim(edges[0], edges[-1])
    main.set_ylabel("hits per shower and bin")
    ratio_panel(below, edges, reference, generated)
    below.set_xlabel("cell energy [MeV]")
    bins = common_edges(*(sample.observables.hits for sample in samples))
    bins = np.unique(np.round(bins)) - 0.5 if bins[-1] - bins[0] > 40 else bins
    reference, *generated = (share(sample.observables.hits, bins) for sample in samples)
    draw_shapes(other, bins, reference, generated, comparison.labels)
    other.set_ylabel("share of showers")
    head_room(other)
    other.set_xlim(bins[0], bins[-1])
    legend(other, comparison.labels, "upper right")
    ratio_panel(other_below, bins, reference, generated)
    other_below.set_xlabel("number of hits")
    return figure
