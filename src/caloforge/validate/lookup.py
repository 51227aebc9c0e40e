"""Figures by name: ``auc.low``, ``separation.hits``, ``profiles.longitudinal.mean_rel_error``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError

VALUES, ERRORS = ("value", "mean", "ratio"), ("error", "std")


@dataclass(frozen=True)
class Figure:
    """A number and its uncertainty; None where there is none."""

    value: float | None
    error: float | None = None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _at(tree: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def names(metrics: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every figure of a dictionary of ``validate`` that :func:`figure` knows, in order."""
    found: list[str] = []
    for key, value in metrics.items():
        if key in _NO_FIGURES and not prefix:
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if any(k in value for k in VALUES):
                found.append(name)
            found += names(value, f"{name}.")
        elif value is None or _number(value) is not None:
            found.append(name)
    return found


_NO_FIGURES = {"schema", "caloforge", "geometry", "settings", "reference", "generated", "notes"}
_NO_FIGURES |= {"floor", "errors", "name", "requirements"}


def scalars(tables: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """The values that several dictionaries have for the same figures: name to array.

    Counts are no figures here, nor is a figure that is None in one of them.
    """
    known = names(tables[0])
    found = {}
    for name in known:
        if any(other.startswith(f"{name}.") for other in known):
            continue
        values = [_at(table, name.split(".")) for table in tables]
        if all(isinstance(value, float) for value in values):
            found[name] = np.array(values, dtype=np.float64)
    return found


def put(tree: dict[str, Any], name: str, value: float) -> None:
    """Write a figure into a dictionary, which grows the branches that it needs."""
    *path, last = name.split(".")
    for key in path:
        tree = tree.setdefault(key, {})
    tree[last] = value


def nested(figures: Mapping[str, float]) -> dict[str, Any]:
    """Figures by their names as dictionaries in dictionaries."""
    tree: dict[str, Any] = {}
    for name, value in figures.items():
        put(tree, name, value)
    return tree


def figure(metrics: Mapping[str, Any], name: str) -> Figure:
    """One figure of a dictionary of ``validate``.

    A name that ends at a dictionary means its ``value``, ``mean`` or ``ratio``. The uncertainty
    stands beside it (``error``, ``std``, NAME``_error``) or under the same name in ``errors``.

    Raises:
        ConfigError: no such figure.
    """
    path = name.split(".")
    found = _at(metrics, path)
    error = _number(_at(metrics.get("errors", {}), path))
    if isinstance(found, Mapping):
        key = next((k for k in VALUES if k in found), None)
        if key is not None:
            places = (*ERRORS, f"{key}_error")
            beside = next((_number(found[k]) for k in places if k in found), None)
            inside = _number(_at(metrics.get("errors", {}), [*path, key]))
            return Figure(_number(found[key]), inside if beside is None else beside)
    elif name in names(metrics):
        beside_it = _number(_at(metrics, [*path[:-1], f"{path[-1]}_error"]))
        return Figure(_number(found), error if beside_it is None else beside_it)
    known = names(metrics)
    near = [other for other in known if other.startswith(path[0])] or known
    raise ConfigError(f"no figure '{name}'; choose from {', '.join(near[:40])}")
