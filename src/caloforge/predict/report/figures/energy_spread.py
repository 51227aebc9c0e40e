"""Distribution of predicted over true energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caloforge.predict.report.names import symbol
from caloforge.predict.table import Table
from caloforge.validate.report.figures.style import (
    common_edges,
    draw_shapes,
    head_room,
    margins,
    share,
)

TITLE = "Predicted over true energy"
CAPTION = (
    "Of every shower, for each particle: the peak should be narrow, at 1, without tails. Grey: the "
    "sum of all cells times one constant."
)


def draw(table: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    found = metrics["energy"]
    if found is None:
        return None
    energy = table.truth["energy"]
    ratios = [found["calibration"] * table.visible / energy]
    ratios.append(table.predicted.targets["energy"] / energy)
    parts = {"all showers": np.ones(len(table), dtype=np.bool_)}
    if len(found["groups"]) > 1:
        code = np.abs(table.truth["pdg"])
        parts = {symbol(c): code == int(c) for c in found["groups"]}
    columns = min(len(parts), 4)
    figure = Figure(figsize=(1.0 + 3.9 * columns, 4.2))
    axes = figure.subplots(1, columns, squeeze=False)[0]
    margins(figure, columns, 1, left=0.95, bottom=0.65, top=0.2, between=(0.65, 0.0))
    for one, (name, part) in zip(axes, parts.items(), strict=False):
        values = [ratio[part] for ratio in ratios]
        edges = common_edges(*values)
        visible, predicted = (share(value, edges) for value in values)
        draw_shapes(one, edges, visible, [predicted], ["sum of all cells", "predicted"])
        head_room(one, 1.4)
        one.set_xlim(edges[0], edges[-1])
        one.text(0.05, 0.94, name, transform=one.transAxes, va="top")
        one.set_xlabel(r"$E\,/\,E_{true}$")
    axes[0].set_ylabel("share of showers")
    axes[-1].legend(loc="upper right")
    return figure
