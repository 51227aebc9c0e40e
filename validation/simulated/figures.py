"""Two figures of electrons in lcd-ecal: response and resolution, longitudinal shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from caloforge.showers import Showers
from caloforge.validate import layer_energy
from caloforge.validate.report.figures.style import (
    CMAP,
    COLOURS,
    REFERENCE,
    house_style,
    margins,
    panels,
)
from simulated.electrons import (
    CRITICAL_ENERGY_W,
    fit_resolution,
    fraction,
    maxima,
    published,
    resolutions,
    samples,
    tungsten_weighted,
    window,
)
from simulated.estimators import (
    Floats,
    Value,
    fit,
    linear_sum,
    mean,
    quadrature,
    robust_resolution,
    straight,
)
from simulated.shapes import layer_depths, mean_depth
from simulated.tables import Samples, gev

BLUE = "#0072B2"


def draw_figures(folder: Samples, target: Path) -> list[Path]:
    """Write the figures as PNG."""
    found = samples(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (("response", response), ("longitudinal", longitudinal)):
        with house_style():
            path = target / f"simulation-{name}.png"
            draw(found).savefig(path)
        written.append(path)
    return written


def _arrays(points: list[Value]) -> tuple[Floats, Floats]:
    return np.array([p.value for p in points]), np.array([p.error for p in points])


def _energy_axis(axes: Axes, energy: Floats) -> None:
    """Logarithmic, labelled at the simulated energies."""
    axes.set_xscale("log")
    axes.set_xlim(0.75 * energy.min(), 1.35 * energy.max())
    axes.xaxis.set_major_locator(FixedLocator(energy.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("electron energy [GeV]")


def _points(axes: Axes, x: Floats, points: list[Value], **look: Any) -> None:
    y, error = _arrays(points)
    axes.errorbar(x, y, yerr=error, linestyle="none", markersize=5, elinewidth=1.2, **look)


def _ratio(axes: Axes, x: Floats, points: list[Value], expected: Floats, **look: Any) -> None:
    y, error = _arrays(points)
    scaled = [Value(a / e, s / e) for a, s, e in zip(y, error, expected, strict=True)]
    _points(axes, x, scaled, **look)
    axes.axhline(1.0, color="0.3", linewidth=0.8)
    axes.grid(axis="y", color="0.9", linewidth=0.6)


def response(found: list[Showers]) -> Figure:
    """Sampling fraction against the published one; resolution and its fits."""
    energy = np.array([gev(showers) for showers in found])
    fine = np.geomspace(0.85 * energy.min(), 1.15 * energy.max(), 200)
    figure, (left, right), (below, other) = panels(2)
    values = [fraction(window(showers)) for showers in found]
    known = fine[(fine >= 10) & (fine <= 500)]
    left.plot(known, published(known), color=COLOURS[0], label="published (LCD)")
    _points(left, energy, values, color=REFERENCE, fmt="o", label="simulated, 25x25 cells")
    left.set_ylabel(r"$E_{tot}\,/\,E_{inc}$ [%]")
    left.legend(loc="upper right")
    _ratio(below, energy, values, published(energy), color=REFERENCE, fmt="o")
    below.set_ylim(0.965, 1.035)
    below.set_ylabel("ratio")
    weighted = [robust_resolution(tungsten_weighted(showers)) * 100 for showers in found]
    for points, colour, mark, label in (
        (resolutions(found), REFERENCE, "o", "as read out"),
        (weighted, BLUE, "s", "layers weighted by tungsten"),
    ):
        _points(right, energy, points, color=colour, fmt=mark, label=label)
        if len(found) < 3:
            continue
        for linear, form, style in ((True, linear_sum, "-"), (False, quadrature, "--")):
            line = fit_resolution(found, points, linear)
            curve = form(fine, line.first.value, line.second.value)
            right.plot(fine, curve, color=colour, linestyle=style, linewidth=1.2)
            if linear:
                expected = linear_sum(energy, line.first.value, line.second.value)
                _ratio(other, energy, points, expected, color=colour, fmt=mark)
    right.plot([], [], color="0.4", linewidth=1.2, label=r"$a/\sqrt{E} + c$")
    right.plot([], [], color="0.4", linewidth=1.2, linestyle="--", label="in quadrature")
    right.set_ylim(0, 1.45 * max(point.value for point in [*resolutions(found), *weighted]))
    right.set_ylabel(r"$\sigma\,/\,E$ [%]")
    right.legend(loc="upper right", ncols=2, fontsize=10, columnspacing=1.0)
    other.set_ylabel("to linear sum")
    for axes in (left, right, below, other):
        _energy_axis(axes, energy)
    for axes in (left, right):
        axes.set_xlabel("")
    return figure


def longitudinal(found: list[Showers]) -> Figure:
    """Mean longitudinal profiles; their maximum and mean depth against the energy."""
    figure = Figure(figsize=(10.6, 4.4))
    left, right = figure.subplots(1, 2)
    margins(figure, 2, 1, left=0.95, bottom=0.65, top=0.2, between=(1.05, 0.0))
    depths, energy = layer_depths(found[0].calorimeter), np.array([gev(s) for s in found])
    colours = colormaps[CMAP](np.linspace(0, 0.88, len(found)))
    tops = maxima(found)
    for showers, colour, top in zip(found, colours, tops, strict=True):
        profile = layer_energy(showers) / showers.incident.energy[:, None] * 100
        points = [mean(layer) for layer in profile.T]
        left.plot(depths.middle, [p.value for p in points], color=colour, linewidth=1.0)
        name = f"{gev(showers):g} GeV"
        y, error = _arrays(points)
        left.errorbar(
            depths.middle, y, yerr=error, fmt="o", markersize=3.5, color=colour, label=name
        )
        left.axvline(top.value, ymax=0.05, color=colour, linewidth=2)
    left.set_xlabel(r"depth [$X_0$]")
    left.set_ylabel(r"visible energy of a layer / $E_{inc}$ [%]")
    left.set_ylim(0, None)
    left.set_xlim(0, 24)
    left.legend(loc="upper right", fontsize=11)
    fine = np.geomspace(0.85 * energy.min(), 1.15 * energy.max(), 50)
    centres = [mean(mean_depth(showers, depths)) for showers in found]
    for values, colour, mark, name in (
        (centres, BLUE, "s", "mean depth"),
        (tops, REFERENCE, "o", "maximum"),
    ):
        label = name
        if len(found) > 2:
            line = fit(straight, np.log(energy), values)
            curve = straight(np.log(fine), line.first.value, line.second.value)
            right.plot(fine, curve, color=colour, linewidth=1.2)
            label = rf"{name}: {line.first} $X_0$ per unit of ln E"
        _points(right, energy, values, color=colour, fmt=mark, label=label)
    textbook = np.log(fine * 1e3 / CRITICAL_ENERGY_W) - 0.5
    right.plot(fine, textbook, color=COLOURS[0], linestyle="--", label=r"$\ln(E/E_c) - 0.5$ (PDG)")
    right.set_ylabel(r"depth [$X_0$]")
    low, high = right.get_ylim()
    right.set_ylim(low, high + 0.3 * (high - low))
    right.legend(loc="upper left", fontsize=11)
    _energy_axis(right, energy)
    return figure
