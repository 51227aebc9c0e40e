"""The figures of a study: how it went, what matters, one panel per value, the Pareto front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caloforge.tune.objective import Objective
from caloforge.tune.results import Results, TrialRow
from caloforge.tune.space import Dimension
from caloforge.validate.report.figures import SUFFIXES, Drawn
from caloforge.validate.report.figures.style import colour, house_style, margins

_COLUMNS = 3
_GREY = "0.6"


@dataclass(frozen=True)
class _Points:
    """The complete trials in one objective: numbers and values of the same length."""

    rows: list[TrialRow]
    values: list[float]

    @classmethod
    def of(cls, results: Results, objective: int) -> _Points:
        rows = [row for row in results.trials if row.values[objective] is not None]
        return cls(rows, [float(row.values[objective] or 0.0) for row in rows])


def draw_study(folder: Path, results: Results) -> list[Drawn]:
    """Write every figure as PNG and PDF; those without content are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, title, caption, draw in _FIGURES:
        with house_style():
            figure = draw(results)
            if figure is None:
                continue
            for ending in SUFFIXES:
                figure.savefig(folder / f"{name}{ending}")
        drawn.append(Drawn(name, title, caption))
    return drawn


def _log(axes: Axes, values: list[float], *, vertical: bool = True) -> None:
    """A logarithmic axis where the values span more than a decade."""
    if values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log") if vertical else axes.set_xscale("log")


def _history(results: Results) -> Figure | None:
    """Every objective against the trial's number, with the best so far, default and floor."""
    if not results.best:
        return None
    several = len(results.objectives)
    figure = Figure(figsize=(8.0, 3.9 * several))
    panels = np.atleast_1d(figure.subplots(several, 1, squeeze=True))
    margins(figure, 1, several, left=1.0, between=(0.6, 0.8))
    for number, (axes, objective) in enumerate(zip(panels, results.objectives, strict=True)):
        points = _Points.of(results, number)
        x = [row.number for row in points.rows]
        errors = [row.errors[number] or 0.0 for row in points.rows]
        axes.errorbar(
            x, points.values, yerr=errors, fmt="o", color=colour(1), markersize=4, elinewidth=1,
            label="complete",
        )  # fmt: skip
        pruned = [row for row in results.trials if row.state == "pruned" and row.stages]
        if pruned and number == 0:
            last = [row.stages[max(row.stages)] for row in pruned]
            where = [row.number for row in pruned]
            axes.plot(where, last, "x", color=_GREY, label="given up")
        best = np.maximum if objective.maximise else np.minimum
        axes.step(
            x, best.accumulate(points.values), where="post", color=colour(0), label="best so far"
        )
        _lines(axes, results, number)
        _log(axes, points.values)
        axes.set_xlabel("trial")
        axes.set_ylabel(objective.name)
        axes.legend(loc="best", fontsize=10)
    return figure


def _lines(axes: Axes, results: Results, objective: int) -> None:
    default, floor = results.default, results.floor[objective]
    if default is not None and default.values[objective] is not None:
        value = float(default.values[objective] or 0.0)
        axes.axhline(value, color="black", linestyle="--", linewidth=1, label="recipe as it is")
    if floor is not None and (floor > 0 or axes.get_yscale() == "linear"):
        axes.axhline(floor, color="0.4", linestyle=":", linewidth=1, label="floor")


def _importances(results: Results) -> Figure | None:
    """Bars: the share of the variance that every value explains."""
    if not results.importances:
        return None
    keys = list(results.search)
    figure = Figure(figsize=(8.0, 1.2 + 0.45 * len(keys)))
    axes = figure.subplots()
    longest = max(map(len, keys))
    margins(figure, 1, 1, left=0.5 + 0.105 * longest, bottom=0.65)
    y = np.arange(len(keys), dtype=np.float64)
    height = 0.8 / len(results.importances)
    for number, (name, shares) in enumerate(results.importances.items()):
        widths = [shares.get(key, 0.0) for key in keys]
        offset = (number - (len(results.importances) - 1) / 2) * height
        axes.barh(y + offset, widths, height=height, color=colour(number + 1), label=name)
    axes.set_yticks(y, keys)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the variance")
    if len(results.importances) > 1:
        axes.legend(loc="lower right", fontsize=10)
    return figure


def _slices(results: Results) -> Figure | None:
    """The first objective against every value that was searched."""
    points = _Points.of(results, 0)
    if not points.rows:
        return None
    dimensions = [Dimension.parse(key, spec) for key, spec in results.search.items()]
    columns = min(_COLUMNS, len(dimensions))
    lines = -(-len(dimensions) // columns)
    figure = Figure(figsize=(1.0 + 3.9 * columns, 3.6 * lines))
    panels = np.ravel(figure.subplots(lines, columns, squeeze=False))
    margins(figure, columns, lines, left=0.95, between=(0.9, 0.8))
    for axes, dimension in zip(panels, dimensions, strict=False):
        _slice(axes, dimension, points, results.objectives[0])
    for axes in panels[len(dimensions) :]:
        axes.set_visible(False)
    return figure


def _slice(axes: Axes, dimension: Dimension, points: _Points, objective: Objective) -> None:
    found = [row.params[dimension.key] for row in points.rows]
    if dimension.choices:
        x = [float(dimension.choices.index(str(value))) for value in found]
        axes.set_xticks(range(len(dimension.choices)), dimension.choices)
        axes.set_xlim(-0.5, len(dimension.choices) - 0.5)
        axes.tick_params(axis="x", which="minor", bottom=False, top=False)
    else:
        x = [float(value) for value in found]
        if dimension.log:
            axes.set_xscale("log")
    numbers = [row.number for row in points.rows]
    axes.scatter(x, points.values, c=numbers, cmap="viridis_r", s=22)
    for place, value, row in zip(x, points.values, points.rows, strict=True):
        if row.default:
            axes.plot([place], [value], "s", color="black", markersize=9, fillstyle="none")
    _log(axes, points.values)
    axes.set_xlabel(dimension.key)
    axes.set_ylabel(objective.name)


def _front(results: Results) -> Figure | None:
    """The first two objectives against each other, the Pareto front marked."""
    if not results.several or not results.best:
        return None
    points = [row for row in results.trials if None not in row.values]
    figure = Figure(figsize=(6.5, 5.0))
    axes = figure.subplots()
    margins(figure, 1, 1, left=1.0, bottom=0.7)
    pairs = np.array([[float(v or 0.0) for v in row.values[:2]] for row in points])
    axes.plot(pairs[:, 0], pairs[:, 1], "o", color=_GREY, markersize=5, label="trials")
    front = np.array([[float(v or 0.0) for v in results.row(n).values[:2]] for n in results.best])
    axes.plot(front[:, 0], front[:, 1], "o-", color=colour(0), markersize=7, label="Pareto front")
    for row, pair in zip(points, pairs, strict=True):
        if row.default:
            axes.plot(*pair, "s", color="black", markersize=11, fillstyle="none", label="as it is")
    _log(axes, pairs[:, 0].tolist(), vertical=False)
    _log(axes, pairs[:, 1].tolist())
    axes.set_xlabel(results.objectives[0].name)
    axes.set_ylabel(results.objectives[1].name)
    axes.legend(loc="best", fontsize=10)
    return figure


_FIGURES: tuple[tuple[str, str, str, Callable[[Results], Figure | None]], ...] = (
    (
        "front",
        "Pareto front",
        "Every complete trial; no trial beats one of the front in all objectives at once. The "
        "square is the recipe as it is.",
        _front,
    ),
    (
        "history",
        "Trial by trial",
        "Complete trials with their uncertainties; a cross is where a trial was given up. The "
        "floor is what a perfect generator would have with so many showers.",
        _history,
    ),
    (
        "importances",
        "What matters",
        "Share of the objective's variance over the whole search that each value explains alone "
        "(functional ANOVA over the complete trials). A value without a share may still have an "
        "optimum that all good trials have in common.",
        _importances,
    ),
    (
        "slices",
        "Value by value",
        "The first objective against every value that was searched; later trials are darker, the "
        "square is the recipe as it is.",
        _slices,
    ),
)
