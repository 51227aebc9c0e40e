"""The verdict: every figure beside its floor, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from caloforge.validate.lookup import Figure, figure, names
from caloforge.validate.report.judges import (
    JUDGES,
    LARGE,
    LARGE_RATIO,
    NEAR,
    STATES,
    UNKNOWN,
    VISIBLE,
)
from caloforge.validate.report.lines import LINES, Line


@dataclass(frozen=True)
class Row:
    """A line of the verdict: a figure, its floor, how often the floor goes into it, the words.

    ``over``: the figure over its floor; ``limit``: up to where that is near.
    """

    group: str
    label: str
    value: str
    floor: str
    state: str
    over: float | None = None
    limit: float | None = None
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


def _row(line: Line, metrics: Mapping[str, Any]) -> Row:
    floor = metrics["floor"]
    found = figure(metrics, line.name)
    base = figure(floor, line.name) if floor else Figure(None)
    judged = JUDGES[line.judge](found, base)
    hint = line.hint
    if line.judge in ("ratio", "separation") and found.value is not None and base.value is None:
        hint = "no floor"
    show = (lambda f: probability(f.value)) if line.judge == "p" else text
    return Row(
        line.group,
        line.label,
        show(found),
        show(base),
        judged.state,
        judged.over,
        judged.limit,
        hint,
        line.name,
    )


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
