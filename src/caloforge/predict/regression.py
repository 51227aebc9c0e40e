"""How well energies and angles are predicted: linearity, bias, resolution, in bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.validate.pulls import width_error
from caloforge.validate.response import energy_bin, energy_edges
from caloforge.validate.response_fit import fit_linearity, fit_resolution

Floats = NDArray[np.float64]

BINS = 10
SAMPLES = ("predicted", "visible")


def response_of(ratio: Floats, energy: Floats) -> dict[str, Any]:
    """Mean and relative spread of predicted / true energy, with their statistical errors.

    ``n``, ``mean_energy`` (MeV), ``mean``, ``resolution`` = sigma / mean, and ``_error`` of both;
    None where there are too few showers.
    """
    names = ("mean_energy", "mean", "mean_error", "resolution", "resolution_error")
    entry: dict[str, Any] = {"n": len(ratio)} | dict.fromkeys(names)
    if len(ratio):
        entry["mean_energy"], entry["mean"] = float(energy.mean()), float(ratio.mean())
    if len(ratio) > 1:
        sigma = float(ratio.std(ddof=1))
        entry["mean_error"] = sigma / np.sqrt(len(ratio))
        if entry["mean"] > 0:
            entry["resolution"] = sigma / entry["mean"]
            entry["resolution_error"] = width_error(ratio) / entry["mean"]
    return entry


def _curves(ratios: Mapping[str, Floats], energy: Floats, edges: Floats) -> dict[str, Any]:
    """Bins, fits and overall figures of several energies of the same showers."""
    number = energy_bin(energy, edges)
    bins = []
    for k in range(len(edges) - 1):
        chosen = number == k
        row = {name: response_of(ratio[chosen], energy[chosen]) for name, ratio in ratios.items()}
        bins.append({"low": float(edges[k]), "high": float(edges[k + 1])} | row)
    return {
        "bins": bins,
        **{name: response_of(ratio, energy) for name, ratio in ratios.items()},
        "fit": {
            name: {
                "resolution": fit_resolution(bins, name),
                "linearity": fit_linearity(bins, name),
            }
            for name in ratios
        },
    }


def energy_figures(
    truth: Floats, predicted: Floats, visible: Floats, groups: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Any]:
    """Linearity and resolution of predicted energies, beside those of the sum of all cells.

    Args:
        truth: incident energies (n,) MeV.
        predicted: predicted energies (n,) MeV.
        visible: sums of the cells (n,) MeV; multiplied by ``calibration`` = sum of the incident
            over sum of the visible energies, they are what needs no predictor.
        groups: named parts of the sample (a particle each).

    Returns:
        ``predicted`` and ``visible`` over all energies (:func:`response_of`), ``bins`` of the
        incident energy with both, ``fit`` of both (see
        :func:`~caloforge.validate.fit_resolution`: sigma/E = a/sqrt(E) (+) c, and
        :func:`~caloforge.validate.fit_linearity`), the same under ``groups``, ``calibration``.
    """
    calibration = float(truth.sum() / visible.sum()) if visible.sum() > 0 else 0.0
    ratios = {"predicted": predicted / truth, "visible": calibration * visible / truth}
    edges = energy_edges(truth)
    return _curves(ratios, truth, edges) | {
        "calibration": calibration,
        "groups": {
            name: _curves({k: r[part] for k, r in ratios.items()}, truth[part], edges)
            for name, part in groups.items()
            if part.any()
        },
    }


def spread_of(difference: Floats) -> dict[str, Any]:
    """Mean (``bias``) and standard deviation (``resolution``) of differences, with errors."""
    names = ("bias", "bias_error", "resolution", "resolution_error")
    entry: dict[str, Any] = {"n": len(difference)} | dict.fromkeys(names)
    if len(difference):
        entry["bias"] = float(difference.mean())
    if len(difference) > 1:
        sigma = float(difference.std(ddof=1))
        entry["bias_error"], entry["resolution"] = sigma / np.sqrt(len(difference)), sigma
        entry["resolution_error"] = width_error(difference)
    return entry


def angle_figures(truth: Floats, predicted: Floats, energy: Floats) -> dict[str, Any]:
    """Bias and resolution (rad) of an angle: overall, in bins of the angle, in bins of energy.

    Differences are taken around the circle, so that -pi and pi are the same.
    """
    difference = np.remainder(predicted - truth + np.pi, 2 * np.pi) - np.pi
    edges = np.unique(np.quantile(truth, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 2:
        edges = np.array([truth[0], np.nextafter(truth[0], np.inf)])
    return spread_of(difference) | {
        "by_angle": _spreads(difference, truth, edges),
        "by_energy": _spreads(difference, energy, energy_edges(energy)),
    }


def _spreads(difference: Floats, where: Floats, edges: Floats) -> list[dict[str, Any]]:
    number = energy_bin(where, edges)
    rows = []
    for k in range(len(edges) - 1):
        chosen = number == k
        middle = {"mean": float(where[chosen].mean()) if chosen.any() else None}
        row = {"low": float(edges[k]), "high": float(edges[k + 1])} | middle
        rows.append(row | spread_of(difference[chosen]))
    return rows
