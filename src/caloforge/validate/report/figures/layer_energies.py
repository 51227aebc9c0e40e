"""Energy distributions of single layers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    common_edges,
    draw_shapes,
    head_room,
    legend,
    log_ticks,
    margins,
    share,
)

TITLE = "Layer energies"
CAPTION = (
    "Energy in single layers, empty ones left out: the first and last layers carry the "
    "fluctuations of where the shower starts and leaks."
)
MOST = 6


def chosen_layers(n_layers: int, most: int = MOST) -> list[int]:
    """At most ``most`` layers, spread over the depth."""
    return sorted({round(k) for k in np.linspace(0, n_layers - 1, min(most, n_layers))})


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    tables = [sample.observables.layer_energy for sample in comparison.summaries]
    layers = chosen_layers(tables[0].shape[1])
    columns = min(3, len(layers))
    rows = -(-len(layers) // columns)
    figure = Figure(figsize=(4.4 * columns, 3.5 * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    margins(figure, columns, rows)
    for number, axes in enumerate(grid):
        if number >= len(layers):
            axes.set_visible(False)
            continue
        layer = layers[number]
        edges = common_edges(*(table[:, layer] for table in tables), bins=30, log=True)
        reference, *generated = (share(table[:, layer], edges) for table in tables)
        draw_shapes(axes, edges, reference, generated, comparison.labels)
        log_ticks(axes, float(edges[0]), float(edges[-1]))
        head_room(axes, 1.25)
        axes.set_title(f"layer {layer}", loc="left")
        if number + columns >= len(layers):
            axes.set_xlabel("layer energy [MeV]")
        if number % columns == 0:
            axes.set_ylabel("share of showers")
    legend(grid[0], comparison.labels, "upper left")
    return figure
