"""Uncertainties of figures that are no plain means: the delete-a-group jackknife."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from caloforge.validate.lookup import figure, names
from caloforge.validate.summary import Summary

Figures = Callable[[Summary, Summary], Mapping[str, Any]]


def jackknife(reference: Summary, generated: Summary, figures: Figures) -> dict[str, Any]:
    """Statistical errors of all figures of two samples, in a dictionary of the same shape.

    Both samples are cut into K = 10 disjoint folds (every tenth shower; fewer of small samples).
    The figures are computed K times without the k-th fold of both, theta_k; then

        error^2 = (K - 1) / K sum_k (theta_k - mean theta)^2

    It holds the statistics of both samples. With 10 folds an error is itself known to about 24 %.
    A figure that is None without some fold has no error, nor has any with fewer than 4 folds.

    Source: J. W. Tukey, Ann. Math. Statist. 29 (1958) 614; J. Shao, D. Tu, The Jackknife and
    Bootstrap (1995), section 2.3.
    """
    folds = min(len(reference.folds), len(generated.folds))
    if folds < 4:
        return {}
    tables = [figures(reference.without(k), generated.without(k)) for k in range(folds)]
    errors: dict[str, Any] = {}
    known = names(tables[0])
    for name in known:
        if any(other.startswith(f"{name}.") for other in known):
            continue
        values = [figure(table, name).value for table in tables]
        if any(value is None for value in values):
            continue
        spread = np.array(values, dtype=np.float64)
        size = float(np.sqrt((folds - 1) * np.mean((spread - spread.mean()) ** 2)))
        _put(errors, name.split("."), size)
    return errors


def _put(tree: dict[str, Any], path: list[str], value: float) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value
