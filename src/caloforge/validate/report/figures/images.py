"""The average shower, seen from the side and from the front."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from caloforge.observables import Floats
from caloforge.validate.comparison import Comparison, Judged
from caloforge.validate.raster import Raster
from caloforge.validate.report.figures.style import CMAP, DIVERGING, margins

TITLE = "Average shower"
CAPTION = (
    "Mean energy per pixel seen from the side (top) and along the beam (bottom), and the relative "
    "difference where at least 1e-5 of the energy lies: structure in it is a bias."
)
DECADES = 1e-5


def mesh(axes: Axes, view: str, pixels: Raster, image: Floats, **options: Any) -> Any:
    """Draw a side or front view in mm; empty pixels stay white."""
    shown = np.ma.masked_invalid(image)
    across = pixels.z_edges if view == "side" else pixels.x_edges
    up = pixels.x_edges if view == "side" else pixels.y_edges
    drawn = axes.pcolormesh(across, up, shown, rasterized=True, **options)
    axes.set_xlabel("depth z [mm]" if view == "side" else "x [mm]")
    axes.set_ylabel("x [mm]" if view == "side" else "y [mm]")
    axes.minorticks_off()
    if view == "front":
        axes.set_aspect("equal")
    return drawn


def colour_bar(figure: Figure, beside: Axes, drawn: Any, label: str) -> None:
    """A colour scale right of an axes, as high as it."""
    beside.apply_aspect()
    box = beside.get_position()
    place = (
        box.x1 + 0.08 / figure.get_figwidth(),
        box.y0,
        0.14 / figure.get_figwidth(),
        box.height,
    )
    figure.colorbar(drawn, cax=figure.add_axes(place), label=label)


def _difference(ref: Floats, gen: Floats) -> Floats:
    strong = ref > DECADES * ref.sum()
    return np.divide(gen - ref, ref, out=np.full_like(ref, np.nan), where=strong)


def draw(comparison: Comparison, judged: Judged) -> Figure:
    """Draw the figure."""
    pixels = comparison.raster
    figure = Figure(figsize=(13.5, 7.6))
    grid: Any = figure.subplots(2, 3)
    margins(figure, 3, 2, right=1.0, between=(1.3, 0.85))
    for row, view in zip(grid, ("side", "front"), strict=True):
        ref, gen = (
            getattr(pixels, view)(sample.profiles.cells.mean)
            for sample in (comparison.reference, judged.summary)
        )
        top = max(float(ref.max()), float(gen.max()), 1e-12)
        norm = LogNorm(DECADES * top, top)
        for axes, image, label in zip(
            row, (ref, gen), (comparison.labels[0], judged.label), strict=False
        ):
            shown = np.where(image > 0, image, np.nan)
            drawn = mesh(axes, view, pixels, shown, norm=norm, cmap=CMAP)
            axes.set_title(label, loc="left")
        colour_bar(figure, row[1], drawn, "mean energy [MeV]")
        gap = _difference(ref, gen)
        known = np.abs(gap[np.isfinite(gap)])
        half = float(np.clip(np.quantile(known, 0.95), 0.05, 1.0)) if known.size else 1.0
        drawn = mesh(row[2], view, pixels, gap, vmin=-half, vmax=half, cmap=DIVERGING)
        row[2].set_title("relative difference", loc="left")
        row[2].set_ylabel("")
        colour_bar(figure, row[2], drawn, "generated / reference - 1")
    return figure
