"""What a study makes smaller (or larger): figures of the validation report, by their names.

``auc.low``, ``separation.etot_over_einc``, ``fpd``, ``generation_ms`` are what ``metrics.json``
calls them; a group such as ``separation`` means the mean of its figures. ``:max`` behind a name
makes it larger instead of smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caloforge.errors import ConfigError
from caloforge.validate.lookup import Figure, figure

DEFAULT = ("separation",)

MEASURED = "generation_ms"
"""The one figure that comes from the generation; a reference has none."""


@dataclass(frozen=True)
class Objective:
    """One figure; ``parts`` are the names whose mean it is, empty before :meth:`resolve`."""

    name: str
    maximise: bool = False
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read ``auc.low``, ``auc.low:min``, ``diversity.ratio:max``.

        Raises:
            ConfigError: another word behind the colon.
        """
        name, _, direction = text.strip().partition(":")
        if not name or direction not in ("", "min", "max"):
            raise ConfigError(f"--objective {text}: write a figure's name, with :max to raise it")
        return cls(name, direction == "max")

    @property
    def text(self) -> str:
        """The form that :meth:`parse` reads."""
        return f"{self.name}:max" if self.maximise else self.name

    def resolve(self, metrics: Mapping[str, Any]) -> Objective:
        """With the parts that can be computed, by the figures of a comparison like the trials'.

        Raises:
            ConfigError: no such figure, or not with so few showers.
        """
        if self.name == MEASURED:
            return replace(self, parts=(MEASURED,))
        group = _group(metrics, self.name)
        if group is None:
            value = figure(metrics, self.name).value
            found = [] if value is None else [self.name]
        else:
            found = [part for part in group if figure(metrics, part).value is not None]
        if not found:
            why = _reason(metrics, self.name)
            raise ConfigError(
                f"--objective {self.name}: cannot be computed from the validation showers{why}; "
                "give more showers or another figure"
            )
        return replace(self, parts=tuple(found))

    def read(self, metrics: Mapping[str, Any]) -> Figure:
        """Its value: the mean of its parts; None if one of them is.

        The uncertainty is the mean of theirs, as if they fluctuated together.
        """
        figures = [figure(metrics, part) for part in self.parts]
        values = [each.value for each in figures if each.value is not None]
        errors = [each.error for each in figures if each.error is not None]
        if len(values) < len(figures):
            return Figure(None)
        error = float(np.mean(errors)) if len(errors) == len(figures) else None
        return Figure(float(np.mean(values)), error)


def parse_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Several objectives, no name twice; the mean separation power when there are none.

    Raises:
        ConfigError: see :meth:`Objective.parse`; a name that comes twice.
    """
    objectives = tuple(map(Objective.parse, texts or DEFAULT))
    names = [each.name for each in objectives]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--objective {name}: comes twice; give every figure once")
    return objectives


def need_classifiers(objectives: Sequence[Objective]) -> bool:
    """Whether classifiers have to be trained for these figures."""
    return any(each.name.split(".")[0] in ("auc", "transfer") for each in objectives)


def need_training(objectives: Sequence[Objective]) -> bool:
    """Whether the training showers have to be compared with."""
    return any(each.name.split(".")[0] == "memorisation" for each in objectives)


def _group(metrics: Mapping[str, Any], name: str) -> list[str] | None:
    """The figures of a group of plain figures, such as ``separation``; None for anything else."""
    tree: Any = metrics
    for key in name.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    if not isinstance(tree, Mapping) or any(key in tree for key in ("value", "mean", "ratio")):
        return None
    if not all(value is None or isinstance(value, int | float) for value in tree.values()):
        return None
    return [f"{name}.{key}" for key in tree]


def _reason(metrics: Mapping[str, Any], name: str) -> str:
    notes = metrics.get("notes") or {}
    for key in (name, name.rpartition(".")[0], name.split(".")[0]):
        if key in notes:
            return f" ({notes[key]})"
    return ""
