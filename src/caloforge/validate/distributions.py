"""Kolmogorov-Smirnov test and Wasserstein distance of one-dimensional distributions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caloforge.observables import Floats, measuring_layers
from caloforge.validate.binning import LAYER_KEYS
from caloforge.validate.histograms import layer_values
from caloforge.validate.summary import Summary

MAX_EXACT = 1000
"""Entries of a sample up to which the p value is exact; the asymptotic one beyond."""

MAX_ENTRIES = 100_000
"""Showers of each sample that :func:`distributions` looks at: the first ones."""

Entry = dict[str, float | None]


def _compare(reference: ArrayLike, generated: ArrayLike) -> tuple[float, float] | None:
    """Largest distance of, and area between, the cumulative distributions; None when one is empty.

    One sort of each sample gives both numbers, several times faster than two functions of scipy.
    """
    first = np.sort(np.ravel(np.asarray(reference, dtype=np.float64)))
    second = np.sort(np.ravel(np.asarray(generated, dtype=np.float64)))
    n, m = len(first), len(second)
    if not n or not m:
        return None
    merged = np.concatenate([first, second])
    order = np.argsort(merged, kind="stable")  # merges two sorted runs
    below = np.cumsum(order < n)
    difference = np.abs(below / n - (np.arange(1, n + m + 1) - below) / m)
    steps = np.diff(merged[order])
    largest = difference[:-1][steps > 0].max(initial=0.0)  # not inside a group of equal values
    return float(largest), float(difference[:-1] @ steps)


def _p_value(first: Floats, second: Floats, statistic: float) -> float:
    from scipy.special import kolmogorov
    from scipy.stats import ks_2samp, kstwo

    n, m = len(first), len(second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the exact value fails it is the asymptotic one
        if max(n, m) <= MAX_EXACT:
            return float(ks_2samp(first, second).pvalue)
        size = round(n * m / (n + m))
        p_value = float(kstwo.sf(statistic, size))
    if not np.isfinite(p_value):
        p_value = float(kolmogorov(statistic * np.sqrt(size)))
    return float(np.clip(p_value, 0.0, 1.0))


def kolmogorov_smirnov(reference: ArrayLike, generated: ArrayLike) -> Entry | None:
    """Two-sample Kolmogorov-Smirnov test: ``statistic`` and two-sided ``p_value``.

    The statistic is the largest distance between the two cumulative distributions, 0 to 1. Exact
    p value up to 1000 entries a sample, asymptotic beyond. Entries that repeat (numbers of hits)
    make it too large, never too small. None when a sample is empty. The same numbers as
    scipy.stats.ks_2samp.
    """
    found = _compare(reference, generated)
    if found is None:
        return None
    p_value = _p_value(np.ravel(reference), np.ravel(generated), found[0])
    return {"statistic": found[0], "p_value": p_value}


def _normalised(distance: float, reference: ArrayLike) -> float | None:
    values = np.asarray(reference, dtype=np.float64)
    sigma = float(values.std())
    constant = sigma <= 1e-9 * max(float(np.abs(values).max()), 1e-9)
    return None if constant else distance / sigma


def wasserstein(reference: ArrayLike, generated: ArrayLike) -> Entry | None:
    """First Wasserstein distance, the area between the two cumulative distributions.

    ``distance`` in the unit of the values, and ``normalised``, over the standard deviation of the
    reference: None where that is constant. Equal distributions of n entries each lie at about
    1 / sqrt(n) normalised, not at 0. None when a sample is empty. The same number as
    scipy.stats.wasserstein_distance.
    """
    found = _compare(reference, generated)
    if found is None:
        return None
    return {"distance": found[1], "normalised": _normalised(found[1], reference)}


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for the number of tests, after Holm, in the order given.

    The k-th smallest of m is multiplied by m - k + 1, kept from falling below the one before, and
    cut at 1. Below 0.01 in any test: the chance of that is at most 1 % if nothing differs, however
    the tests depend on each other. Source: S. Holm, Scand. J. Statist. 6 (1979) 65.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    result = np.empty(len(values))
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in result]


def shower_columns(sample: Summary) -> dict[str, Floats]:
    """The shower-wise observables: Etot/Einc, hits, pairs of all, moments of the filled ones.

    ``depth`` is the first moment along z. Moments along an axis that no layer measures are left
    out, and with fewer than three layers the roughness of the longitudinal profile.
    """
    table = sample.observables
    filled = table.moments[table.filled]
    columns = {
        "etot_over_einc": table.response,
        "hits": table.hits,
        "hit_pairs": table.hit_pairs,
        "depth": filled[:, 2],
    }
    for number, axis in enumerate("xy"):
        if measuring_layers(sample.calorimeter, axis).any():
            columns[f"mean_{axis}"] = filled[:, number]
            columns[f"width_{axis}"] = filled[:, 3 + number]
    if sample.calorimeter.n_layers > 1:
        columns["width_z"] = filled[:, 5]
    if sample.calorimeter.n_layers > 2:
        columns["roughness"] = table.roughness[table.filled]
    return columns


def layer_columns(sample: Summary) -> dict[str, list[Floats]]:
    """The layer-wise observables, per layer: filled layers, for the sparsity all of them.

    ``layer_share``, the layer's share of the energy, is that of all showers with hits. The spread
    of the incident energies, which hides a layer that is off, is not in it. Layers that do not
    measure an axis have no entries in its centre and width.
    """
    columns = {}
    for key in LAYER_KEYS:
        values = layer_values(sample, key)
        if key[-2:] in ("_x", "_y", "_r"):
            usable = measuring_layers(sample.calorimeter, key[-1])
            if not usable.any():
                continue
            values = [
                column if use else column[:0] for column, use in zip(values, usable, strict=True)
            ]
        columns[key] = values
    if sample.calorimeter.n_layers > 1:
        table = sample.observables
        columns["layer_share"] = list(table.layer_share[table.filled].T)
    return columns


def _entry(reference: Floats, generated: Floats) -> Entry | None:
    found = _compare(reference, generated)
    if found is None:
        return None
    return {
        "statistic": found[0],
        "p_value": _p_value(reference, generated, found[0]),
        "p_holm": None,
        "wasserstein": found[1],
        "wasserstein_normalised": _normalised(found[1], reference),
    }


def _head(sample: Summary) -> Summary:
    return replace(sample, observables=sample.observables[:MAX_ENTRIES])


def distributions(reference: Summary, generated: Summary) -> dict[str, Any]:
    """:func:`kolmogorov_smirnov` and :func:`wasserstein` of every observable of two samples.

    Observables: those of :func:`shower_columns` and :func:`layer_columns`; at most 100,000 showers
    of each sample.

    Returns:
        ``showers``: per shower-wise observable ``statistic``, ``p_value``, ``p_holm`` (corrected
        by :func:`holm` for the number of tests), ``wasserstein`` (unit of the observable) and
        ``wasserstein_normalised``; ``layers``: per layer-wise observable a list of the same, None
        for a layer without entries in one of the samples; ``mean``: per layer-wise observable the
        mean ``statistic`` and ``wasserstein_normalised`` over its layers; ``tests``: their number;
        ``smallest``: ``observable``, ``layer`` (None for shower-wise ones), ``p_value`` and
        ``p_holm`` of the smallest p value, the larger statistic where two underflow to 0; None
        without tests.
    """
    reference, generated = _head(reference), _head(generated)
    ref, gen = shower_columns(reference), shower_columns(generated)
    showers = {key: _entry(ref[key], gen[key]) for key in ref}
    ref_layers, gen_layers = layer_columns(reference), layer_columns(generated)
    layers = {
        key: [_entry(r, g) for r, g in zip(ref_layers[key], gen_layers[key], strict=True)]
        for key in ref_layers
    }
    found: list[tuple[str, int | None, Entry]] = []
    found += [(key, None, entry) for key, entry in showers.items() if entry is not None]
    for key, column in layers.items():
        found += [(key, number, entry) for number, entry in enumerate(column) if entry is not None]
    corrected = holm([float(entry["p_value"] or 0.0) for _, _, entry in found])
    for (_, _, entry), value in zip(found, corrected, strict=True):
        entry["p_holm"] = value
    return {
        "showers": showers,
        "layers": layers,
        "mean": {key: _mean(column) for key, column in layers.items()},
        "tests": len(found),
        "smallest": _smallest(found),
    }


def _mean(column: list[Entry | None]) -> Entry:
    result: Entry = {}
    for key in ("statistic", "wasserstein_normalised"):
        known = [entry[key] for entry in column if entry is not None]
        values = [value for value in known if value is not None]
        result[key] = float(np.mean(values)) if values else None
    return result


def _smallest(found: list[tuple[str, int | None, Entry]]) -> dict[str, Any] | None:
    if not found:
        return None
    key, layer, entry = min(
        found, key=lambda f: (f[2]["p_value"] or 0.0, -(f[2]["statistic"] or 0))
    )
    return {"observable": key, "layer": layer, "p_value": entry["p_value"]} | {
        "p_holm": entry["p_holm"]
    }
