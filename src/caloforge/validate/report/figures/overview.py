"""Every figure over its floor, at a glance."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.figures.style import colour, margins
from caloforge.validate.report.judges import LARGE_RATIO
from caloforge.validate.report.verdict import Row, verdict

TITLE = "Every figure over its floor"
CAPTION = (
    "How many times its floor a figure is, the floor being what a perfect generator with as many "
    "showers would have. Grey: where statistics alone could make it, near the floor. Points at an "
    "edge lie further out. Figures without a ratio (AUC, memorisation, diversity) are in the table."
)
SPAN = (0.2, 300.0)


def _known(rows: list[Row]) -> dict[str, Row]:
    """Every figure that has a ratio to its floor, by what to call it."""
    return {_label(row): row for row in rows if row.over is not None}


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
    limits = [max(t[n].limit or 1.0 for t in tables if n in t) for n in names]
    width = np.array(limits) - SPAN[0]
    axes.barh(range(len(names)), width, height=1.0, left=SPAN[0], color="0.9", linewidth=0)
    axes.axvline(1.0, color="0.5", linewidth=0.8, linestyle=":")
    axes.axvline(LARGE_RATIO, color="0.5", linewidth=0.8)
    for number, (table, label) in enumerate(zip(tables, comparison.labels[1:], strict=True)):
        y = np.array([names.index(name) for name in table], dtype=np.float64)
        y += 0.0 if len(tables) == 1 else 0.5 * number / (len(tables) - 1) - 0.25
        x = np.clip([row.over or 0.0 for row in table.values()], *SPAN)
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
