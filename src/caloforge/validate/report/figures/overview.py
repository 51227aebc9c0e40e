"""Every figure over its floor, at a glance."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import colour, margins
from caloforge.validate.report.verdict import LARGE_RATIO, NEAR_RATIO, Row, verdict

TITLE = "Every figure over its floor"
CAPTION = (
    "How many times its floor a figure is: in the grey zone statistics alone could make it. "
    "Points at the right edge lie further out. Figures without a ratio (AUC, memorisation, "
    "diversity) are in the table."
)
SPAN = (0.2, 300.0)


def _known(rows: list[Row]) -> dict[str, float]:
    """Ratio to the floor of every figure that has one, by what to call it."""
    return {_label(row): row.over for row in rows if row.over is not None}


def _label(row: Row) -> str:
    group = row.group.replace("|", "")
    return f"{group[0].lower()}{group[1:]}, {row.label.replace('|', '')}"


def draw(comparison: Comparison) -> Figure:
    """Draw the figure."""
    tables = [_known(verdict(sample.metrics)) for sample in comparison.judged]
    names = list(dict.fromkeys(name for table in tables for name in table))
    height = 1.5 + 0.27 * max(len(names), 4)
    figure = Figure(figsize=(9.0, height))
    axes = figure.subplots()
    margins(figure, 1, 1, left=4.1, right=0.25, bottom=0.65, top=0.2)
    axes.axvspan(SPAN[0], NEAR_RATIO, color="0.9", linewidth=0)
    for limit in (1.0, NEAR_RATIO, LARGE_RATIO):
        axes.axvline(limit, color="0.5", linewidth=0.8, linestyle=":" if limit == 1 else "-")
    for number, (table, label) in enumerate(zip(tables, comparison.labels[1:], strict=True)):
        y = np.array([names.index(name) for name in table], dtype=np.float64)
        y += 0.0 if len(tables) == 1 else 0.5 * number / (len(tables) - 1) - 0.25
        x = np.clip(list(table.values()), *SPAN)
        axes.plot(x, y, "o", markersize=6, color=colour(number), label=label)
    axes.set_xscale("log")
    axes.set_xlim(*SPAN)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.set_xlabel("figure / floor")
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    if len(tables) > 1:
        axes.legend(loc="lower right", frameon=True)
    return figure
