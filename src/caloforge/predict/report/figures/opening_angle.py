"""Photons against neutral pions, by the opening angle of the pion's photons."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from caloforge.predict.table import Table
from caloforge.validate.report.figures.style import colour, margins

TITLE = "Photons and neutral pions by opening angle"
CAPTION = (
    "AUC of photons against neutral pions in bins of the angle between the pion's two photons: "
    "photons that fly apart are easy to see, unless one is soft or misses the cells."
)


def draw(_: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    found = metrics["classification"]
    rows = [] if found is None else found["opening_angle"] or []
    if not rows:
        return None
    low, high = (np.array([row[key] for row in rows]) * 1e3 for key in ("low", "high"))
    area = np.array([row["auc"] for row in rows])
    error = [row["auc_error"] for row in rows]
    figure = Figure(figsize=(6.4, 4.2))
    axes = figure.subplots()
    margins(figure, 1, 1, left=0.95, bottom=0.65, top=0.2)
    middle = np.sqrt(low * high)
    reach = np.array([middle - low, high - middle])
    axes.errorbar(middle, area, xerr=reach, yerr=error, fmt="o", markersize=5, color=colour(1))
    axes.set_xscale("log")  # most pions have nearly the least angle, a few open wide
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.axhline(0.5, color="0.4", linewidth=1.0, linestyle=":")
    axes.set_xlabel("opening angle [mrad]")
    axes.set_ylabel(r"AUC, $\gamma$ against $\pi^0$")
    axes.set_ylim(min(0.45, float(area.min()) - 0.05), 1.02)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    return figure
