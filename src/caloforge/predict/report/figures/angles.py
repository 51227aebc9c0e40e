"""Bias and resolution of the predicted angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from caloforge.predict.table import Floats, Table
from caloforge.validate.report.figures.style import colour, margins
from caloforge.validate.response_fit import GEV

TITLE = "Angles"
CAPTION = (
    "Mean (bias) and standard deviation (resolution) of predicted minus true angle, against the "
    "true angle and against the energy."
)
SYMBOLS = {"theta": r"$\theta$", "phi": r"$\varphi$"}


def draw(_: Table, metrics: dict[str, Any]) -> Figure | None:
    """Draw the figure."""
    names = [name for name in SYMBOLS if metrics[name] is not None]
    if not names:
        return None
    figure = Figure(figsize=(10.6, 0.6 + 3.5 * len(names)))
    grid = figure.subplots(len(names), 2, squeeze=False)
    margins(figure, 2, len(names), left=0.95, bottom=0.65, top=0.2, between=(1.05, 0.75))
    for row, name in zip(grid, names, strict=True):
        for axes, key, unit in zip(row, ("by_angle", "by_energy"), (_degrees, _gev), strict=True):
            rows = [entry for entry in metrics[name][key] if entry["resolution"] is not None]
            x = unit([entry["mean"] for entry in rows])
            for number, what in enumerate(("bias", "resolution")):
                y = _mrad([entry[what] for entry in rows])
                error = _mrad([entry[f"{what}_error"] or 0.0 for entry in rows])
                look: dict[str, Any] = {"markersize": 5, "color": colour(1 - number)}
                axes.errorbar(x, y, yerr=error, fmt="so"[number], label=what, **look)
            axes.axhline(0.0, color="0.4", linewidth=1.0, linestyle=":")
            axes.margins(y=0.25)
            axes.set_ylabel(f"predicted - true {SYMBOLS[name]} [mrad]")
            label = "true energy [GeV]" if key == "by_energy" else f"true {SYMBOLS[name]} [degrees]"
            axes.set_xlabel(label)
    grid[0][0].legend(loc="best")
    return figure


def _degrees(values: list[float]) -> Floats:
    return np.asarray(np.rad2deg(values), dtype=np.float64)


def _gev(values: list[float]) -> Floats:
    return np.asarray(values, dtype=np.float64) / GEV


def _mrad(values: list[float]) -> Floats:
    return 1e3 * np.asarray(values, dtype=np.float64)
