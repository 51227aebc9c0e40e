"""Lateral widths per layer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.observables import Floats, measuring_layers
from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    FILL,
    REFERENCE,
    colour,
    layer_axis,
    legend,
    panels,
    ratio_panel,
)
from caloforge.validate.summary import Summary

TITLE = "Widths"
CAPTION = (
    "Lateral width of every layer, mean (points, line) and spread from shower to shower (band, "
    "dashed): surrogates tend to make layers too round and too equal."
)


def _statistics(sample: Summary, key: str) -> tuple[Floats, Floats, Floats]:
    """Mean, spread and error of the mean over the filled showers, layer by layer."""
    table = getattr(sample.observables, key)
    filled = sample.observables.layer_energy > 0
    n = np.maximum(filled.sum(axis=0), 1)
    mean = (table * filled).sum(axis=0) / n
    spread = np.sqrt((((table - mean) * filled) ** 2).sum(axis=0) / n)
    return mean, spread, spread / np.sqrt(n)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    samples, labels = comparison.summaries, comparison.labels
    geometry = comparison.reference.calorimeter
    axes_names = [a for a in ("x", "y", "r") if measuring_layers(geometry, a).any()] or ["x"]
    figure, above, below = panels(len(axes_names))
    for main, small, axis in zip(above, below, axes_names, strict=True):
        reference, *generated = (_statistics(sample, f"width_{axis}") for sample in samples)
        mean, spread, error = reference
        layer = np.arange(len(mean))
        main.fill_between(layer, mean - spread, mean + spread, color=FILL, linewidth=0)
        main.errorbar(
            layer, mean, yerr=error, fmt="o", markersize=4, color=REFERENCE, label=labels[0]
        )
        top = float(np.max(mean + spread))
        for number, (means, spreads, _) in enumerate(generated):
            main.plot(layer, means, color=colour(number), label=labels[1 + number])
            for sign in (-1, 1):
                edge = means + sign * spreads
                main.plot(layer, edge, color=colour(number), linestyle="--", linewidth=1)
            top = max(top, float(np.max(means + spreads)))
        main.set_ylim(0, 1.3 * top or 1.0)
        main.set_ylabel(f"width in {axis} [mm]")
        main.set_xlim(-0.5, len(layer) - 0.5)
        edges = np.arange(len(layer) + 1, dtype=np.float64) - 0.5
        ratio_panel(small, edges, (mean, error), [(m, e) for m, _, e in generated])
        layer_axis(small)
    legend(above[0], comparison.labels, "upper left")
    return figure
