"""Lateral widths per layer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.observables import Floats, measuring_layers
from caloforge.validate.report.figures.style import (
    FILL,
    GENERATED,
    REFERENCE,
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
    ref, gen = comparison.reference, comparison.generated
    axes_names = [a for a in ("x", "y", "r") if measuring_layers(ref.calorimeter, a).any()] or ["x"]
    figure, above, below = panels(len(axes_names))
    for main, small, axis in zip(above, below, axes_names, strict=True):
        a, b = (_statistics(sample, f"width_{axis}") for sample in (ref, gen))
        layer = np.arange(len(a[0]))
        main.fill_between(layer, a[0] - a[1], a[0] + a[1], color=FILL, linewidth=0)
        main.errorbar(
            layer,
            a[0],
            yerr=a[2],
            fmt="o",
            markersize=4,
            color=REFERENCE,
            label=comparison.labels[0],
        )
        main.plot(layer, b[0], color=GENERATED, label=comparison.labels[1])
        for sign in (-1, 1):
            main.plot(layer, b[0] + sign * b[1], color=GENERATED, linestyle="--", linewidth=1)
        main.set_ylim(0, 1.3 * float(np.max(np.maximum(a[0] + a[1], b[0] + b[1]))) or 1.0)
        main.set_ylabel(f"width in {axis} [mm]")
        main.set_xlim(-0.5, len(layer) - 0.5)
        ratio_panel(
            small, np.arange(len(layer) + 1, dtype=np.float64) - 0.5, (a[0], a[2]), (b[0], b[2])
        )
        layer_axis(small)
    legend(above[0], comparison.labels, "upper left")
    return figure
