"""How well particles are told apart: accuracy, confusion, ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.models.predictors import class_numbers
from caloforge.validate.response import energy_bin, energy_edges

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

CURVE_POINTS = 200
EFFICIENCY = 0.9
ANGLE_BINS = 5
PHOTON, NEUTRAL_PION = 22, 111


def accuracy(truth: Numbers, told: Numbers) -> dict[str, Any]:
    """Share of showers whose most probable class is the true one, and its binomial error."""
    n = len(truth)
    if not n:
        return {"n": 0, "value": None, "error": None}
    value = float(np.mean(truth == told))
    return {"n": n, "value": value, "error": float(np.sqrt(value * (1 - value) / n))}


def confusion(truth: Numbers, told: Numbers, classes: int) -> list[list[int]]:
    """Numbers of showers: a row per true class, a column per most probable one."""
    counts = np.bincount(truth * classes + told, minlength=classes * classes)
    table: list[list[int]] = counts.reshape(classes, classes).tolist()
    return table


def area_error(area: float, signal: int, background: int) -> float:
    """Standard error of the area under a ROC curve.

    Source: J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29.
    """
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (signal - 1) * (first - area**2) + (background - 1) * (second - area**2)
    return float(np.sqrt(max(variance, 0.0) / (signal * background)))


def pair(score: Floats, signal: NDArray[np.bool_]) -> dict[str, Any]:
    """The ROC curve of a score that is larger for the signal.

    ``auc`` and ``auc_error``; the numbers of showers; ``background_at_90``: the share of the
    background that passes with 90 % of the signal; ``roc``: at most 200 points of the curve. None
    where one side has no showers.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    n, m = int(signal.sum()), int((~signal).sum())
    entry: dict[str, Any] = {"signal_showers": n, "background_showers": m}
    if not n or not m:
        return entry | dict.fromkeys(("auc", "auc_error", "background_at_90", "roc"))
    area = float(roc_auc_score(signal, score))
    passed, found, _ = roc_curve(signal, score)
    points = np.unique(np.linspace(0, len(passed) - 1, CURVE_POINTS).round().astype(np.int64))
    return entry | {
        "auc": area,
        "auc_error": area_error(area, n, m),
        "background_at_90": float(passed[np.argmax(found >= EFFICIENCY)]),
        "roc": {
            "background_efficiency": passed[points].tolist(),
            "signal_efficiency": found[points].tolist(),
        },
    }


def pair_score(probability: Floats, signal: int, background: int) -> Floats:
    """log of the odds of two classes, whatever the others say; infinite where one is excluded."""
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log(probability[:, signal]) - np.log(probability[:, background])
    return np.asarray(np.nan_to_num(odds, nan=0.0, posinf=1e300, neginf=-1e300))


def pairs(truth: Numbers, probability: Floats, classes: Sequence[int]) -> list[dict[str, Any]]:
    """Every two classes against each other: see :func:`pair`."""
    rows = []
    for a, b in combinations(range(len(classes)), 2):
        chosen = (truth == a) | (truth == b)
        score = pair_score(probability[chosen], a, b)
        names = {"signal": int(classes[a]), "background": int(classes[b])}
        rows.append(names | pair(score, truth[chosen] == a))
    return rows


def by_energy(truth: Numbers, told: Numbers, energy: Floats) -> list[dict[str, Any]]:
    """The accuracy in bins of incident energy (MeV)."""
    if not len(truth):
        return []
    edges = energy_edges(energy)
    number = energy_bin(energy, edges)
    return [
        {"low": float(edges[k]), "high": float(edges[k + 1])}
        | accuracy(truth[number == k], told[number == k])
        for k in range(len(edges) - 1)
    ]


def by_opening_angle(
    truth: Numbers, probability: Floats, classes: Sequence[int], angle: Floats
) -> list[dict[str, Any]] | None:
    """Photons against neutral pions in bins of the pions' opening angle (rad).

    All photons against the pions of every bin, five bins with equal numbers of pions: ``low``,
    ``high`` and what :func:`pair` says, photons being the signal; bins that got none of a few pions
    are left out. None without both classes, or without pions whose angle is known.
    """
    if PHOTON not in classes or NEUTRAL_PION not in classes:
        return None
    photon, pion = list(classes).index(PHOTON), list(classes).index(NEUTRAL_PION)
    known = (truth == pion) & (angle > 0)
    photons = truth == photon
    if not known.any() or not photons.any():
        return None
    edges = np.unique(np.quantile(angle[known], np.linspace(0, 1, ANGLE_BINS + 1)))
    edges = edges if len(edges) > 1 else np.array([edges[0], edges[0] * 1.001])
    number = np.where(known, energy_bin(angle, edges), -1)
    rows = []
    for k in np.unique(number[known]):
        chosen = photons | (number == k)
        entry = pair(pair_score(probability[chosen], photon, pion), photons[chosen])
        entry.pop("roc")
        rows.append({"low": float(edges[k]), "high": float(edges[k + 1])} | entry)
    return rows


def classification(
    pdg: NDArray[Any],
    probability: Floats,
    classes: Sequence[int],
    energy: Floats | None = None,
    opening_angle: Floats | None = None,
) -> dict[str, Any] | None:
    """All figures of a classification.

    Args:
        pdg: true PDG codes (n,); showers of no class are ignored, and counted.
        probability: (n, K) of the ``classes``, in their order.
        classes: PDG codes.
        energy: incident energies (n,) MeV, for the accuracy against energy.
        opening_angle: (n,) rad, for photons against neutral pions.

    Returns:
        ``classes``, ``ignored`` (showers of each other particle), ``accuracy``, ``confusion``,
        ``pairs``, ``by_energy``, ``opening_angle``; None when no shower is of a class.
    """
    truth = class_numbers(pdg, classes)
    others, counts = np.unique(np.asarray(pdg)[truth < 0], return_counts=True)
    kept = truth >= 0
    if not kept.any():
        return None
    truth, probability = truth[kept], probability[kept]
    told = probability.argmax(axis=1)
    angles = None
    if opening_angle is not None:
        angles = by_opening_angle(truth, probability, classes, opening_angle[kept])
    return {
        "classes": [int(c) for c in classes],
        "ignored": {str(int(c)): int(n) for c, n in zip(others, counts, strict=True)},
        "accuracy": accuracy(truth, told),
        "confusion": confusion(truth, told, len(classes)),
        "pairs": pairs(truth, probability, classes),
        "by_energy": [] if energy is None else by_energy(truth, told, energy[kept]),
        "opening_angle": angles,
    }
