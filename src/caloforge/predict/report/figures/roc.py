"""ROC curves of every two particles."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caloforge.predict.report.names import symbol
from caloforge.predict.table import Table
from caloforge.validate.report.figures.style import colour, margins

TITLE = "ROC curves"
CAPTION = (
    "Share of the second particle that passes a cut on the odds of the two, against the share of "
    "the first that passes: lower is better. Dotted: guessing. The area (AUC) is that above the "
    "curve on linear axes: 1 always told apart, 0.5 never."
)


def draw(_: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    found = metrics["classification"]
    known = [] if found is None else [row for row in found["pairs"] if row["roc"] is not None]
    if not known:
        return None
    figure = Figure(figsize=(6.6, 4.9))
    axes = figure.subplots()
    margins(figure, 1, 1, left=0.95, bottom=0.65, top=0.2)
    fewest = max(row["background_showers"] for row in known)
    floor = 0.5 / fewest
    for number, row in enumerate(known):
        signal = np.array(row["roc"]["signal_efficiency"])
        background = np.maximum(row["roc"]["background_efficiency"], floor)
        names = f"{symbol(row['signal'])} against {symbol(row['background'])}"
        label = f"{names}: {row['auc']:.4f}"
        axes.plot(signal, background, label=label, color=colour(number), linewidth=1.8)
    line = np.linspace(max(floor, 1e-6), 1.0, 200)
    axes.plot(line, line, ":", color="0.4", linewidth=1.2)
    axes.set_yscale("log")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.8 * floor, 1.3)
    axes.set_xlabel("efficiency for the first")
    axes.set_ylabel("efficiency for the second")
    axes.legend(loc="lower right", title="AUC", alignment="left")
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure
