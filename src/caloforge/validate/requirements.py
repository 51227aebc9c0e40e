"""Thresholds that a user sets: ``auc.low<0.6``, ``separation.hits<2*floor``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caloforge.errors import ConfigError
from caloforge.validate.lookup import figure

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBER = r"[0-9.]+(?:[eE][-+]?[0-9]+)?"
_FORM = re.compile(
    rf"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?P<sign><=|>=|<|>)\s*"
    rf"(?P<limit>-?{_NUMBER})?\s*(?P<star>\*?)\s*(?P<floor>floor)?\s*"
)


@dataclass(frozen=True)
class Requirement:
    """A figure must lie on one side of ``limit``, or of ``limit`` times its floor."""

    text: str
    name: str
    sign: str
    limit: float
    of_floor: bool

    def judge(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """``text``, the ``value``, the ``limit`` in numbers, and whether it is ``met``.

        A figure that could not be computed meets nothing.

        Raises:
            ConfigError: no such figure.
        """
        value = figure(metrics, self.name).value
        limit: float | None = self.limit
        if self.of_floor:
            floor = metrics.get("floor") or {}
            base = figure(floor, self.name).value if floor else None
            limit = None if base is None else self.limit * base
        met = value is not None and limit is not None and _COMPARE[self.sign](value, limit)
        return {"text": self.text, "value": value, "limit": limit, "met": met}


def requirement(text: str) -> Requirement:
    """Read one requirement: NAME < NUMBER, also <=, >, >=, and NUMBER*floor or floor.

    Raises:
        ConfigError: anything else.
    """
    found = _FORM.fullmatch(text)
    parts = found.groupdict() if found else {}
    limit = parts.get("limit")
    star, floor = bool(parts.get("star")), bool(parts.get("floor"))
    try:
        number = 1.0 if limit is None else float(limit)
    except ValueError:
        found = None
    if found is None or star != (floor and limit is not None) or not (limit or floor):
        raise ConfigError(
            f"--require '{text}': write a figure, a sign and a number, as 'auc.low<0.6' or "
            "'separation.hits<2*floor'"
        )
    return Requirement(text.strip(), parts["name"], parts["sign"], number, floor)


def shown(value: float | None) -> str:
    """The value of a requirement's figure in words."""
    return "not computed" if value is None else f"{value:.4g}"
