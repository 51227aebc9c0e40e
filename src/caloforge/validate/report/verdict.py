"""The verdict: every figure beside its floor, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caloforge.validate.lookup import Figure, figure, names
from caloforge.validate.report.lines import LINES, Line

NEAR, VISIBLE, LARGE, UNKNOWN = "near the floor", "visible", "large", "not computed"
STATES = (NEAR, VISIBLE, LARGE, UNKNOWN)

NEAR_RATIO = 2.0
LARGE_RATIO = 10.0
LARGE_AUC = 0.75
NEAR_SIGMAS = 5.0  # errors from five parts have long tails
LARGE_SIGMAS = 20.0


@dataclass(frozen=True)
class Row:
    """A line of the verdict: a figure, its floor, how often the floor goes into it, the words."""

    group: str
    label: str
    value: str
    floor: str
    state: str
    over: float | None = None
    hint: str = ""
    name: str = ""

    @property
    def css(self) -> str:
        """Class of the coloured word."""
        return ("near", "visible", "large", "unknown")[STATES.index(self.state)]

    @property
    def ratio(self) -> str:
        """``over`` as text."""
        if self.over is None or self.over >= 1e6:
            return "-"
        return f"{self.over:.2f}" if self.over < LARGE_RATIO else f"{self.over:.0f}"


def text(found: Figure) -> str:
    """A figure with its uncertainty: as many digits as that allows."""
    value, error = found.value, found.error
    if value is None:
        return "-"
    if error is None or not error > 0 or not math.isfinite(error):
        return f"{value:.3g}"
    if max(abs(value), error) < 1e-3:
        power = math.floor(math.log10(max(abs(value), error)))
        scaled = text(Figure(value / 10**power, error / 10**power))
        return f"({scaled})e{power}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def probability(value: float | None) -> str:
    """A p value."""
    return "< 1e-300" if value == 0 else "-" if value is None else f"{value:.2g}"


def _ratio(found: Figure, floor: Figure) -> tuple[str, float | None]:
    """For a figure that is 0 for a perfect generator."""
    if found.value is None or floor.value is None:
        return UNKNOWN, None
    size, base = abs(found.value), abs(floor.value)
    over = size / base if base > 0 else (1.0 if size == 0 else math.inf)
    return NEAR if over <= NEAR_RATIO else VISIBLE if over <= LARGE_RATIO else LARGE, over


def _auc(found: Figure, floor: Figure) -> tuple[str, float | None]:
    """Near: within two standard deviations of 0.5 or of the floor; large: above 0.75."""
    if found.value is None:
        return UNKNOWN, None
    limit = max(0.5, floor.value or 0.5) + 2 * (found.error or 0.0)
    return NEAR if found.value <= limit else VISIBLE if found.value < LARGE_AUC else LARGE, None


def _p_value(found: Figure, floor: Figure) -> tuple[str, float | None]:
    if found.value is None:
        return UNKNOWN, None
    return NEAR if found.value > 1e-3 else VISIBLE if found.value > 1e-6 else LARGE, None


def _copies(found: Figure, floor: Figure) -> tuple[str, float | None]:
    if found.value is None:
        return UNKNOWN, None
    return NEAR if found.value <= 0.005 else VISIBLE if found.value <= 0.02 else LARGE, None


def _near_one(found: Figure, floor: Figure) -> tuple[str, float | None]:
    """For a figure that is 1 for a perfect generator."""
    if found.value is None:
        return UNKNOWN, None
    gap = abs(found.value - 1)
    allowed = max(0.02, NEAR_RATIO * abs((floor.value or 1.0) - 1), 2 * (found.error or 0.0))
    return NEAR if gap <= allowed else VISIBLE if gap < 0.1 else LARGE, None


def _sigmas(gap: float, found: Figure, floor: Figure) -> tuple[str, float | None]:
    error = math.hypot(found.error or 0.0, floor.error or 0.0)
    sigmas = gap / error if error > 0 else (0.0 if gap <= 0 else math.inf)
    return NEAR if sigmas <= NEAR_SIGMAS else VISIBLE if sigmas <= LARGE_SIGMAS else LARGE, None


def _excess(found: Figure, floor: Figure) -> tuple[str, float | None]:
    """For an unbiased distance, around 0 for equal samples: how far above the floor."""
    if found.value is None:
        return UNKNOWN, None
    return _sigmas(found.value - max(0.0, floor.value or 0.0), found, floor)


def _lack(found: Figure, floor: Figure) -> tuple[str, float | None]:
    """For a figure that equal samples have as high as the floor: how far below it."""
    if found.value is None or floor.value is None:
        return UNKNOWN, None
    return _sigmas(floor.value - found.value, found, floor)


JUDGES = {
    "excess": _excess,
    "lack": _lack,
    "ratio": _ratio,
    "auc": _auc,
    "p": _p_value,
    "copies": _copies,
    "one": _near_one,
}


def _row(line: Line, metrics: Mapping[str, Any]) -> Row:
    floor = metrics["floor"]
    found = figure(metrics, line.name)
    base = figure(floor, line.name) if floor else Figure(None)
    state, over = JUDGES[line.judge](found, base)
    hint = line.hint
    if line.judge == "ratio" and found.value is not None and base.value is None:
        hint = "no floor"
    show = (lambda f: probability(f.value)) if line.judge == "p" else text
    return Row(line.group, line.label, show(found), show(base), state, over, hint, line.name)


def verdict(metrics: Mapping[str, Any]) -> list[Row]:
    """All lines of the verdict, from a dictionary of ``validate``."""
    known = set(names(metrics))
    return [_row(line, metrics) for line in LINES if line.name in known]


def headline(metrics: Mapping[str, Any], rows: list[Row]) -> str:
    """The verdict in a sentence or two."""
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    judged = len(rows) - counts[UNKNOWN]
    said = f"{counts[NEAR]} of {judged} figures lie near the floor"
    for state in (VISIBLE, LARGE):
        if counts[state]:
            said += f", {counts[state]} differ{'s' * (counts[state] == 1)} "
            said += "visibly" if state == VISIBLE else "strongly"
    aucs = [
        (figure(metrics, line.name).value, line.label)
        for line in LINES
        if line.judge == "auc" and line.name in names(metrics)
    ]
    best = max(((value, label) for value, label in aucs if value is not None), default=None)
    if best:
        said += (
            f". The best classifier ({best[1]}) tells the samples apart with an AUC of "
            f"{best[0]:.3f} (0.5: not at all, 1: always)"
        )
    return said + "."
