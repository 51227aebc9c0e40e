"""Linearity and resolution of the predicted energy against the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caloforge.predict.report.names import symbol
from caloforge.predict.table import Table
from caloforge.validate.report.figures.style import (
    REFERENCE,
    colour,
    log_ticks,
    margins,
)
from caloforge.validate.response_fit import GEV, resolution_curve

TITLE = "Linearity and resolution of the energy"
CAPTION = (
    "Mean and relative spread of predicted over true energy in bins of the true energy. Black: the "
    "sum of all cells times one constant, which needs no predictor. Lines: a/sqrt(E) and c, added "
    "in quadrature."
)
LABELS = {"mean": r"mean of $E_{pred}\,/\,E_{true}$", "resolution": r"$\sigma\,/\,$mean"}


def draw(_: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    found = metrics["energy"]
    if found is None:
        return None
    figure = Figure(figsize=(11.2, 4.4))
    linear, spread = figure.subplots(1, 2)
    margins(figure, 2, 1, left=0.95, bottom=0.65, top=0.2, between=(1.05, 0.0))
    groups = found["groups"] if len(found["groups"]) > 1 else {}
    for key, axes in (("mean", linear), ("resolution", spread)):
        _points(axes, found, "visible", key, "sum of all cells", REFERENCE, "o")
        _points(axes, found, "predicted", key, "predicted", colour(0), "s")
        for number, (code, group) in enumerate(groups.items()):
            label = f"predicted, {symbol(code)}"
            _points(axes, group, "predicted", key, label, colour(number + 1), "^")
        axes.set_ylabel(LABELS[key])
        axes.set_xlabel("true energy [GeV]")
        axes.margins(x=0.08, y=0.2)
        axes.grid(axis="y", color="0.92", linewidth=0.6)
        axes.set_axisbelow(True)
    linear.axhline(1.0, color="0.4", linewidth=1.0, linestyle=":")
    spread.set_ylim(bottom=0.0)
    low, high = linear.get_xlim()
    edges = found["bins"][0]["low"] / GEV, found["bins"][-1]["high"] / GEV
    if edges[0] > 0 and edges[1] > 30 * edges[0]:
        for axes in (linear, spread):
            log_ticks(axes, max(low, 0.8 * edges[0]), high)
    linear.legend(loc="best")
    return figure


def _points(
    axes: Axes, curves: dict[str, Any], who: str, key: str, label: str, look: str, marker: str
) -> None:
    rows = [row[who] for row in curves["bins"] if row[who][key] is not None]
    x = np.array([row["mean_energy"] / GEV for row in rows])
    y = [row[key] for row in rows]
    error = [row[f"{key}_error"] or 0.0 for row in rows]
    axes.errorbar(x, y, yerr=error, fmt=marker, markersize=5, color=look, label=label)
    fit = curves["fit"][who]["resolution"]
    if key == "resolution" and fit is not None and len(x) > 1:
        energy = np.geomspace(x.min(), x.max(), 100)
        terms = fit["stochastic"]["value"], fit["constant"]["value"], 0.0
        axes.plot(energy, resolution_curve(energy, *terms), color=look, linewidth=1.0)
