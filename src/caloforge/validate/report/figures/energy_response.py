"""Mean response and resolution against the incident energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import (
    FILL,
    REFERENCE,
    colour,
    legend,
    log_ticks,
    panels,
)

TITLE = "Response and resolution against energy"
CAPTION = (
    "Mean and relative spread of Etot / Einc in bins of incident energy: a slope in the ratio is a "
    "non-linearity that the generator adds."
)


def _points(rows: list[dict[str, Any]], who: str, key: str) -> tuple[Any, Any, Any]:
    kept = [row[who] for row in rows if row[who][key] is not None]
    x = np.array([row["mean_energy"] / 1e3 for row in kept])
    y = np.array([row[key] for row in kept])
    return x, y, np.array([row[f"{key}_error"] or 0.0 for row in kept])


def _below(axes: Axes, rows: list[dict[str, Any]], key: str, number: int) -> float:
    """Draw the ratio of one sample; how far from 1 it reaches."""
    known = [row for row in rows if row[f"{key}_rel_error"] is not None]
    x = np.array([row["generated"]["mean_energy"] / 1e3 for row in known])
    y = 1 + np.array([row[f"{key}_rel_error"] for row in known])
    error = np.array([row[f"{key}_rel_error_stat"] or 0.0 for row in known])
    axes.errorbar(x, y, yerr=error, fmt="s", markersize=5, color=colour(number))
    return float(np.max(np.abs(y - 1) + error)) if len(y) else 0.1


def _finish(axes: Axes, far: float) -> None:
    half = max(1.2 * far, 0.005)
    axes.axhline(1.0, color="0.3", linewidth=0.8)
    axes.set_ylim(1 - half, 1 + half)
    axes.set_ylabel("ratio")
    axes.set_xlabel("incident energy [GeV]")
    axes.grid(axis="y", color="0.9", linewidth=0.6)


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    tables = [sample.metrics["response"] for sample in comparison.judged]
    rows, labels = tables[0], comparison.labels
    figure, above, below = panels(2)
    names = (r"mean of $E_{tot}\,/\,E_{inc}$", r"$\sigma\,/\,$mean of $E_{tot}\,/\,E_{inc}$")
    edges = np.array([rows[0]["low"], *(row["high"] for row in rows)]) / 1e3
    for main, small, key, name in zip(above, below, ("mean", "resolution"), names, strict=True):
        x, y, error = _points(rows, "reference", key)
        main.errorbar(x, y, yerr=error, fmt="o", markersize=5, color=REFERENCE, label=labels[0])
        for number, table in enumerate(tables):
            x, y, error = _points(table, "generated", key)
            look: Any = {"fmt": "s", "markersize": 5, "color": colour(number)}
            main.errorbar(x, y, yerr=error, label=labels[1 + number], **look)
        _finish(small, max(_below(small, table, key, k) for k, table in enumerate(tables)))
        main.set_ylabel(name)
        main.margins(y=0.2)
        for number in range(0, len(rows), 2):
            for axes in (main, small):
                axes.axvspan(edges[number], edges[number + 1], color=FILL, alpha=0.25, linewidth=0)
        main.set_xlim(edges[0], edges[-1])
        if edges[-1] > 30 * edges[0]:
            log_ticks(small, float(edges[0]), float(edges[-1]))
    legend(above[0], labels, "best")
    return figure
