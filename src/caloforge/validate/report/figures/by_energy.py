"""Response, hits and longitudinal profile in bins of incident energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from caloforge.observables import Floats, Observables
from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    Shape,
    common_edges,
    draw_shapes,
    head_room,
    layer_axis,
    legend,
    panels,
    ratio_panel,
    share,
)
from caloforge.validate.response import energy_bin, energy_edges

COLUMNS = 3
MIN_SHOWERS = 2


def energy_columns(comparison: Comparison) -> list[tuple[str, list[Observables]]]:
    """Low, middle and high bins of incident energy: a title and every sample's showers in it."""
    energy = comparison.reference.observables.energy
    edges = energy_edges(energy, COLUMNS)
    bins = sorted({round(k) for k in np.linspace(0, len(edges) - 2, COLUMNS)})
    columns = []
    for k in bins:
        parts = [
            sample.observables[energy_bin(sample.observables.energy, edges) == k]
            for sample in comparison.summaries
        ]
        low, high = parts[0].energy.min() / 1e3, parts[0].energy.max() / 1e3
        title = f"{low:.4g} GeV" if high <= 1.002 * low else f"{low:.3g} to {high:.3g} GeV"
        columns.append((title, parts))
    return columns


def distributions_by_energy(
    comparison: Comparison, values: Callable[[Observables], Floats], label: str
) -> Figure:
    """A column per energy: the distribution of one observable, and its ratio."""
    columns = energy_columns(comparison)
    figure, above, below = panels(len(columns))
    for main, small, (title, parts) in zip(above, below, columns, strict=True):
        samples = [values(part) for part in parts]
        edges = common_edges(*samples, bins=30)
        reference, *generated = (share(sample, edges) for sample in samples)
        draw_shapes(main, edges, reference, generated, comparison.labels)
        head_room(main, 1.4)
        main.set_xlim(edges[0], edges[-1])
        main.text(0.04, 0.95, title, transform=main.transAxes, va="top")
        ratio_panel(small, edges, reference, generated)
        small.set_xlabel(label)
    above[0].set_ylabel("share of showers")
    legend(above[-1], comparison.labels, "upper right")
    return figure


def _profile(part: Observables) -> Shape:
    table = part.layer_energy
    n = max(len(table), 1)
    spread = table.std(axis=0) if len(table) else np.zeros(table.shape[1])
    return table.sum(axis=0) / n, spread / np.sqrt(max(n - 1, 1))


def profiles_by_energy(comparison: Comparison) -> Figure:
    """A column per energy: the mean energy per layer, and its ratio."""
    columns = energy_columns(comparison)
    figure, above, below = panels(len(columns))
    for main, small, (title, parts) in zip(above, below, columns, strict=True):
        reference, *generated = (_profile(part) for part in parts)
        edges = np.arange(len(reference[0]) + 1, dtype=np.float64) - 0.5
        draw_shapes(main, edges, reference, generated, comparison.labels)
        head_room(main, 1.4)
        main.set_xlim(edges[0], edges[-1])
        main.text(0.04, 0.95, title, transform=main.transAxes, va="top")
        ratio_panel(small, edges, reference, generated)
        layer_axis(small)
    above[0].set_ylabel("mean energy per layer [MeV]")
    legend(above[-1], comparison.labels, "upper right")
    return figure
