"""Correlations between shower features."""

from __future__ import annotations

import numpy as np

from caloforge.observables import Floats, Observables

FEATURES = (
    "mean x",
    "mean y",
    "mean z",
    "width x",
    "width y",
    "width z",
    "Etot",
    "Einc",
    "hits",
    "share of the first third",
    "share of the middle third",
    "share of the last third",
)
ANGLE = "measured angle"


def varies_in_theta(sample: Observables) -> bool:
    """Whether every shower has an incident angle, and not all the same one (1e-6 rad)."""
    return sample.has_theta and float(np.ptp(sample.theta)) > 1e-6


def correlation_features(sample: Observables) -> tuple[str, ...]:
    """The names of the features: :data:`FEATURES`, and the angle where the incident one varies."""
    return (*FEATURES, ANGLE) if varies_in_theta(sample) else FEATURES


def correlation_matrix(sample: Observables, *, angle: bool | None = None) -> Floats:
    """Pearson correlation matrix of the features over the showers that hold hits.

    Shape (12, 12) for :data:`FEATURES`; (13, 13) with the measured angle to the x axis, over the
    showers that have one. ``angle``: whether it takes part; by default where the incident angle
    of the sample varies. A constant feature has no correlation: its entries are 0. Source: 3DGAN.
    """
    angle = varies_in_theta(sample) if angle is None else angle
    sample = sample[sample.filled & (sample.measured_theta > 0)] if angle else sample[sample.filled]
    columns = [sample.moments, sample.total, sample.energy, sample.hits, sample.thirds]
    table = np.column_stack([*columns, sample.measured_theta] if angle else columns)
    if len(table) < 2:
        return np.zeros((table.shape[1], table.shape[1]))
    centred = table - table.mean(axis=0)
    scale = np.sqrt((centred**2).mean(axis=0))
    constant = scale <= 1e-9 * np.maximum(np.abs(table).max(axis=0), 1e-9)
    unit = np.where(constant, 0.0, centred / np.where(constant, 1.0, scale))
    return np.asarray(unit.T @ unit / len(table))


def correlation_difference(reference: Observables, generated: Observables) -> float | None:
    """Mean |difference| of the two correlation matrices over the pairs of features.

    No unit; 0 for equal correlations. The measured angle takes part (78 pairs in place of 66)
    where the incident angle varies in both samples. None when a sample has fewer than two showers
    with hits. Source: 3DGAN validation.
    """
    if min(np.count_nonzero(reference.filled), np.count_nonzero(generated.filled)) < 2:
        return None
    angle = varies_in_theta(reference) and varies_in_theta(generated)
    first, second = (correlation_matrix(s, angle=angle) for s in (reference, generated))
    return float(np.abs(first - second)[np.triu_indices(len(first), k=1)].mean())
