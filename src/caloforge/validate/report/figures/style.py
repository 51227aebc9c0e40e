"""One look for all figures: reference grey and black, generated in colours, errors shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caloforge.observables import Floats

REFERENCE = "black"
FILL = "0.82"
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""One per generated sample: Okabe and Ito's colours, told apart by all eyes."""

CMAP = "viridis"
DIVERGING = "PuOr_r"

_OWN = {
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "xtick.minor.ndivs": 2,
    "ytick.minor.ndivs": 2,
    "font.size": 12,
    "axes.labelsize": 13,
    "axes.titlesize": 13,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "axes.linewidth": 1.0,
    "lines.linewidth": 1.6,
    "xtick.major.size": 6,
    "ytick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.minor.size": 3,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
    "mathtext.default": "regular",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside: the mplhep style with sizes that fit a page and a phone."""
    import mplhep

    base: dict[str, Any] = {
        key: value
        for key, value in dict(mplhep.style.ATLAS).items()
        if key.startswith(("xtick", "ytick", "axes.unicode", "font", "mathtext"))
    }
    look: Any = {**base, **_OWN}
    with rc_context(look):
        yield


def panels(columns: int, *, width: float = 0.0) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure with main panels above and ratio panels below, sharing their x axes."""
    figure = Figure(figsize=(width or 1.0 + 4.8 * columns, 5.2))
    grid: Any = figure.subplots(
        2, columns, squeeze=False, sharex="col", gridspec_kw={"height_ratios": [3, 1.1]}
    )
    margins(figure, columns, 2, left=0.95, bottom=0.65, top=0.2, between=(1.05, 0.15))
    for axes in grid.ravel():
        across = axes.get_position().width * figure.get_figwidth()
        axes.yaxis.set_label_coords(-0.64 / across, 0.5)
    return figure, list(grid[0]), list(grid[1])


def margins(
    figure: Figure,
    columns: int,
    rows: int,
    *,
    left: float = 0.8,
    right: float = 0.15,
    bottom: float = 0.6,
    top: float = 0.35,
    between: tuple[float, float] = (0.6, 0.6),
) -> None:
    """Fixed margins, all in inches: the automatic layouts take seconds per figure."""
    width, height = figure.get_size_inches()
    across = (width - left - right - (columns - 1) * between[0]) / columns
    down = (height - bottom - top - (rows - 1) * between[1]) / rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=between[0] / across,
        hspace=between[1] / down,
    )


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Bin-wise ratio, NaN (not drawn) where the denominator is 0."""
    empty = np.full(len(numerator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=empty, where=denominator > 0))


Shape = tuple[Floats, Floats]
"""Values and their errors, bin by bin."""


def colour(number: int) -> str:
    """Colour of a generated sample."""
    return COLOURS[number % len(COLOURS)]


def beside(edges: Floats, number: int, samples: int) -> Floats:
    """Where in the bins the points of a sample stand, so that they do not hide each other."""
    place = 0.5 if samples == 1 else 0.25 + 0.5 * number / (samples - 1)
    return edges[:-1] + place * np.diff(edges)


def ratio_panel(
    axes: Axes, edges: Floats, reference: Shape, generated: Sequence[Shape], label: str = "ratio"
) -> None:
    """Generated / reference with its error; the band is the reference's own error.

    Triangles at the edge stand for points beyond it.
    """
    band = ratio(reference[1], reference[0])
    spread = np.nan_to_num(np.repeat(band, 2), nan=0.0)
    x = np.repeat(edges, 2)[1:-1]
    axes.fill_between(x, 1 - spread, 1 + spread, color=FILL, linewidth=0)
    axes.axhline(1.0, color="0.3", linewidth=0.8)
    points = []
    for number, shape in enumerate(generated):
        value, error = ratio(shape[0], reference[0]), ratio(shape[1], reference[0])
        place = beside(edges, number, len(generated))
        axes.errorbar(
            place,
            value,
            yerr=error,
            fmt="o",
            markersize=3,
            color=colour(number),
            elinewidth=1,
            capsize=0,
        )
        points.append((place, value, ratio_limits(value, error)))
    low = min(limits[0] for _, _, limits in points)
    high = max(limits[1] for _, _, limits in points)
    axes.set_ylim(low, high)
    inside = 0.05 * (high - low)
    for number, (place, value, _) in enumerate(points):
        for edge, beyond, marker in (
            (low + inside, value < low, "v"),
            (high - inside, value > high, "^"),
        ):
            axes.plot(
                place[beyond], np.full(beyond.sum(), edge), marker, color=colour(number), ms=5
            )
    axes.set_ylabel(label)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def ratio_limits(value: Floats, error: Floats) -> tuple[float, float]:
    """Limits around 1 that show the well-measured points, between +-10 % and +-100 %."""
    good = np.isfinite(value) & np.isfinite(error) & (error < 0.3)
    far = float(np.quantile(np.abs(value[good] - 1), 0.95)) if good.any() else 0.5
    half = float(np.clip(1.4 * far + 0.02, 0.1, 1.0))
    return 1 - half, 1 + half


def draw_shapes(
    axes: Axes,
    edges: Floats,
    reference: Shape,
    generated: Sequence[Shape],
    labels: Sequence[str],
) -> None:
    """Reference as black points over a grey area, generated samples as coloured lines."""
    import mplhep

    mplhep.histplot(
        reference[0], bins=edges, ax=axes, histtype="fill", color=FILL, flow="none", yerr=False
    )
    middle = 0.5 * (edges[1:] + edges[:-1])
    shown = reference[0] > 0
    axes.errorbar(
        middle[shown],
        reference[0][shown],
        yerr=reference[1][shown],
        fmt="o",
        markersize=3,
        color=REFERENCE,
        elinewidth=1,
        label=labels[0],
    )
    for number, (shape, label) in enumerate(zip(generated, labels[1:], strict=True)):
        mplhep.histplot(
            shape[0],
            bins=edges,
            ax=axes,
            histtype="step",
            color=colour(number),
            flow="none",
            yerr=False,
            label=label,
            linewidth=1.8,
        )


def share(values: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Share of the entries in every bin, and its statistical error."""
    import hist

    filled: Any = hist.Hist(hist.axis.Variable(edges)).fill(np.asarray(values, dtype=np.float64))
    counts = np.asarray(filled.values(), dtype=np.float64)
    total = max(len(values), 1)
    return counts / total, np.sqrt(counts) / total


def common_edges(*samples: Floats, bins: int = 40, log: bool = False) -> Floats:
    """Bins over the central 99.6 % of all samples, a little widened."""
    values = np.concatenate(samples)
    values = values[values > 0] if log else values
    if not len(values):
        return np.array([0.5, 1.5]) if not log else np.array([1.0, 10.0])
    low, high = (float(v) for v in np.quantile(values, [0.002, 0.998]))
    if log:
        low, high = low / 1.1, high * 1.1
        return np.geomspace(low, high, bins + 1)
    pad = 0.05 * (high - low) or 0.05 * max(abs(high), 1e-3)
    return np.linspace(low - pad, high + pad, bins + 1)


def legend(axes: Axes, labels: Sequence[str], loc: str = "upper right") -> None:
    """A legend with the reference first."""
    handles, names = axes.get_legend_handles_labels()
    order = [names.index(label) for label in labels if label in names]
    place: Any = loc
    axes.legend([handles[k] for k in order], [names[k] for k in order], loc=place)


def log_ticks(axes: Axes, low: float, high: float) -> None:
    """A logarithmic x axis whose labels never touch: 1, 2, 5 on short ranges, else decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(low, high)
    if high < 40 * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def layer_axis(axes: Axes) -> None:
    """An x axis that counts layers: whole numbers, no ticks between."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="x", which="minor", bottom=False, top=False)
    axes.set_xlabel("layer")


def log_height(axes: Axes, values: Floats, above: float) -> None:
    """A logarithmic y axis around the positive values; a linear one when there are none."""
    positive = values[values > 0]
    if len(positive):
        axes.set_yscale("log")
        axes.set_ylim(0.5 * positive.min(), above * positive.max())


def head_room(axes: Axes, factor: float = 1.3) -> None:
    """Space above the data for the legend."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low, high * (high / low) ** (factor - 1))
    else:
        axes.set_ylim(0, high * factor)
