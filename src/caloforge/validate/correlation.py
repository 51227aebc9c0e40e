"""Correlations between shower features."""

from __future__ import annotations

import numpy as np

from caloforge.validate.observables import Floats, Observables

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


def correlation_matrix(sample: Observables) -> Floats:
    """Pearson correlation matrix of :data:`FEATURES` over the showers that hold hits.

    Shape (12, 12). A constant feature has no correlation: its entries are 0. Source: 3DGAN.
    """
    sample = sample[sample.filled]
    table = np.column_stack(
        [sample.moments, sample.total, sample.energy, sample.hits, sample.thirds]
    )
    if len(table) < 2:
        return np.zeros((len(FEATURES), len(FEATURES)))
    centred = table - table.mean(axis=0)
    scale = np.sqrt((centred**2).mean(axis=0))
    constant = scale <= 1e-9 * np.maximum(np.abs(table).max(axis=0), 1e-9)
    unit = np.where(constant, 0.0, centred / np.where(constant, 1.0, scale))
    return np.asarray(unit.T @ unit / len(table))


def correlation_difference(reference: Observables, generated: Observables) -> float | None:
    """Mean |difference| of the two correlation matrices over the pairs of features.

    No unit; 0 for equal correlations. None when a sample has fewer than two filled showers.
    Source: 3DGAN validation.
    """
    if min(np.count_nonzero(reference.filled), np.count_nonzero(generated.filled)) < 2:
        return None
    difference = np.abs(correlation_matrix(reference) - correlation_matrix(generated))
    return float(difference[np.triu_indices(len(FEATURES), k=1)].mean())
