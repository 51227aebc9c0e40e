"""The floor at the statistics of a comparison: from N/2 against N/2 showers to N against M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caloforge.validate.distributions import MAX_ENTRIES
from caloforge.validate.histograms import Counts, Histograms, bin_growth
from caloforge.validate.summary import KEEP

GROWS_WITH: Mapping[str, float] = {
    "separation": 1.0,
    "separation_by_layer": 1.0,
    "energy_separation.value": 1.0,
    "response_error": 0.5,
    "correlation_difference": 0.5,
    "profiles.mean_rel_error": 0.5,
    "cells.mean_rel_error": 0.5,
    "cells.sigma_rel_error": 0.5,
    "threedgan.moments": 0.5,
    "threedgan.profiles": 0.5,
    "threedgan.total": 0.5,
    "threedgan.total_moments_twice": 0.5,
    "distributions.statistic": 0.5,
    "distributions.wasserstein": 0.5,
    "distributions.wasserstein_normalised": 0.5,
}
"""Figures of equal samples of n and m showers grow as (1/n + 1/m) to this power: those of a first
key, or of a first and a last one."""

AT_MOST: Mapping[str, tuple[int, int]] = {
    "threedgan": (KEEP, KEEP // 2),
    "distributions": (MAX_ENTRIES, MAX_ENTRIES),
}
"""Showers of a whole sample and of a half that enter the figures of a first key."""


def expectation(
    floor: Mapping[str, Any], counts: Histograms, reference: int, generated: int
) -> dict[str, Any]:
    """What a perfect generator of ``generated`` showers would have against ``reference`` showers.

    ``floor``: the figures of two halves of the reference; ``counts``: the whole reference's
    histograms. Separation powers, which are squares of differences, go as 1/n + 1/m and with the
    number of filled bins (:func:`~caloforge.validate.histograms.bin_growth`), mean absolute errors
    as the root of 1/n + 1/m; all others stay as they are. The standard deviations under ``errors``
    go with their figures.
    """
    result: dict[str, Any] = _scaled(floor, [], reference, generated)
    _totals(result.get("threedgan", {}))
    keys: dict[str, Sequence[Counts | None]] = {k: [v] for k, v in counts.showers.items()}
    keys |= counts.layers
    for key, each in keys.items():
        growth = bin_growth(each, generated / reference)
        for tree in (result, result.get("errors", {})):
            for name in ("separation", "separation_by_layer"):
                _multiply(tree.get(name, {}), key, growth)
    return result


def _multiply(tree: dict[str, Any], key: str, factor: float) -> None:
    value = tree.get(key)
    if isinstance(value, list):
        tree[key] = [None if each is None else each * factor for each in value]
    elif value is not None:
        tree[key] = value * factor


def _scaled(value: Any, path: Sequence[str], n: int, m: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _scaled(item, [*path, key], n, m) for key, item in value.items()}
    if isinstance(value, list):
        return [_scaled(item, path, n, m) for item in value]
    return value * _factor(path, n, m) if isinstance(value, float) else value


def _factor(path: Sequence[str], n: int, m: int) -> float:
    path = path[1:] if path[0] == "errors" else path
    power = GROWS_WITH.get(path[0], GROWS_WITH.get(f"{path[0]}.{path[-1]}"))
    if power is None:
        return 1.0
    whole, half = AT_MOST.get(path[0], (n + m, n))
    ours = 1 / min(n, whole) + 1 / min(m, whole)
    return float((ours / (2 / min(n // 2, half))) ** power)


def _totals(figures: dict[str, Any]) -> None:
    """3DGAN's sums, whose angle does not depend on the number of showers."""
    moments, profiles = figures.get("moments"), figures.get("profiles")
    if moments is None or profiles is None:
        return
    total = moments + profiles + (figures["angle"] or 0.0)
    figures |= {"total": total, "total_moments_twice": total + moments}
