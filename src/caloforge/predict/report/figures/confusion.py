"""The confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caloforge.predict.report.names import symbol
from caloforge.predict.table import Table
from caloforge.validate.report.figures.style import margins

TITLE = "Confusion"
CAPTION = (
    "Of the showers of each particle (rows), the share that is taken for each (columns); below it "
    "the number of showers."
)


def draw(_: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    found = metrics["classification"]
    if found is None:
        return None
    counts = np.array(found["confusion"])
    there = np.flatnonzero(counts.sum(axis=1))
    names = [symbol(code) for code in found["classes"]]
    share = counts[there] / counts[there].sum(axis=1, keepdims=True)
    rows, columns = share.shape
    figure = Figure(figsize=(2.0 + 1.1 * columns, 1.5 + 0.85 * rows))
    axes = figure.subplots()
    margins(figure, 1, 1, left=0.9, right=0.3, bottom=0.3, top=0.85)
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for i in range(rows):
        for j in range(columns):
            colour = "white" if share[i, j] > 0.6 else "black"
            text = f"{100 * share[i, j]:.1f} %\n{counts[there[i], j]}"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=11)
    axes.set_xticks(range(columns), names)
    axes.set_yticks(range(rows), [names[k] for k in there])
    axes.xaxis.tick_top()
    axes.tick_params(which="both", length=0)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("taken for")
    axes.set_ylabel("particle")
    return figure
