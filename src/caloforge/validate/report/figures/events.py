"""Single showers side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from caloforge.showers import Showers
from caloforge.validate.comparison import Comparison, Judged
from caloforge.validate.raster import Raster
from caloforge.validate.report.figures.images import colour_bar, mesh
from caloforge.validate.report.figures.style import CMAP, margins

TITLE = "Single showers"
CAPTION = (
    "Reference showers beside the generated ones nearest in energy: a real shower is grainy, has "
    "stray hits far from its core, and no two are alike."
)


def draw_pairs(
    pixels: Raster, pairs: list[tuple[Showers, Showers]], titles: list[tuple[str, str]]
) -> Figure:
    """One row per pair of showers: side and front view of the first, then of the second."""
    figure = Figure(figsize=(14.5, 3.2 * len(pairs) + 0.5))
    grid: Any = figure.subplots(
        len(pairs), 4, squeeze=False, gridspec_kw={"width_ratios": [1.25, 1, 1.25, 1]}
    )
    margins(figure, 4, len(pairs), right=0.95, between=(0.75, 0.5))
    for line, (row, pair, names) in enumerate(zip(grid, pairs, titles, strict=True)):
        cells = [shower.dense()[0].astype(np.float64) for shower in pair]
        top = max(
            [1e-3, *(float(getattr(pixels, v)(c).max()) for c in cells for v in ("side", "front"))]
        )
        bottom = 1e-4 * top
        norm = LogNorm(bottom, top)
        for number, (energy, name) in enumerate(zip(cells, names, strict=True)):
            for column, view in enumerate(("side", "front")):
                axes = row[2 * number + column]
                image = getattr(pixels, view)(energy)
                shown = np.where(image > 0, np.maximum(image, bottom), np.nan)
                drawn = mesh(axes, view, pixels, shown, norm=norm, cmap=CMAP)
                axes.set_facecolor("0.96")
                if column == 0:
                    axes.set_title(name, loc="left", fontsize=11)
                if line + 1 < len(pairs):
                    axes.set_xlabel("")
        colour_bar(figure, row[-1], drawn, "energy [MeV]")
    return figure


def nearest_in_energy(sample: Showers, energy: float) -> int:
    """The shower whose incident energy is nearest."""
    return int(np.argmin(np.abs(sample.incident.energy - energy)))


def chosen_showers(sample: Showers) -> list[int]:
    """Showers of low, middle and high incident energy (10, 50 and 90 % of the sample)."""
    energy = sample.incident.energy
    order = np.argsort(energy, kind="stable")
    picks = {int(order[round(q * (len(order) - 1))]) for q in (0.1, 0.5, 0.9)}
    return sorted(picks, key=lambda k: float(energy[k]))


def draw(comparison: Comparison, judged: Judged) -> Figure:
    """Draw the figure."""
    ref, gen = comparison.reference.kept, judged.summary.kept
    names = comparison.labels[0], judged.label
    pairs, titles = [], []
    for pick in chosen_showers(ref):
        other = nearest_in_energy(gen, float(ref.incident.energy[pick]))
        pairs.append((ref[[pick]], gen[[other]]))
        energies = [float(s.incident.energy[0]) / 1e3 for s in pairs[-1]]
        a, b = (f"{n}, {e:.1f} GeV" for n, e in zip(names, energies, strict=True))
        titles.append((a, b))
    return draw_pairs(comparison.raster, pairs, titles)
