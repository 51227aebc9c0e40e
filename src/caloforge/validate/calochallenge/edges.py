"""The official bin edges of the CaloChallenge."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables import Floats, measuring_layers
from caloforge.validate.calochallenge.data_sets import (
    MAX_RESPONSE,
    MIN_RESPONSE,
    DataSet,
    official_scale,
)

LAYER_EDGES = 40
VOXEL_EDGES = 50
LATERAL_EDGES = 101

Range = tuple[float, float]


def log_edges(low: float, high: float, edges: int) -> Floats | None:
    """``edges`` edges from ``low`` to ``high`` (MeV), equally spaced in the logarithm.

    10 to the power of equally spaced numbers, as in the evaluation code: by rounding the last edge
    may lie just below the highest energy, which is then dropped there as here. None where no
    energy lies above ``low``.
    """
    if not 0.0 < low < high:
        return None
    return np.logspace(np.log10(low), np.log10(high), edges)


def layer_energy_edges(layer_energy: Floats, threshold: float) -> list[Floats | None]:
    """Edges (MeV) per layer, from the threshold to the reference's largest energy in the layer.

    Args:
        layer_energy: the reference's layer energies (MeV), shape (n, layers).
        threshold: the cell threshold (MeV).
    """
    return [log_edges(threshold, float(top), LAYER_EDGES) for top in layer_energy.max(axis=0)]


def response_edges(mean: float) -> Floats | None:
    """Edges of Etot / Einc; None where the reference's mean response is not within 0.5..1.5."""
    return np.linspace(MIN_RESPONSE, MAX_RESPONSE, 101) if official_scale(mean) else None


def lateral_range(found: DataSet, key: str, layer: int) -> Range:
    """Range (mm) of a centre or width in the official layer ``layer``.

    ``key``: 'centre_' or 'width_' with 'x' (the challenge's eta), 'y' (phi) or 'r'.
    """
    kind, axis = key.split("_")
    if axis == "r":
        if found.electrons:
            return (0.0, 42.0) if kind == "centre" else (0.0, 20.0)
        return (0.0, 1500.0) if layer in (12, 13, 14) else (0.0, 500.0)
    tile = layer in (12, 13) and not found.electrons
    if kind == "centre":
        top = 30.0 if found.electrons else 500.0 if tile else 100.0
        return -top, top
    return 0.0, 30.0 if found.electrons else 400.0 if tile else 100.0


def lateral_edges(found: DataSet, calorimeter: Calorimeter, key: str) -> list[Floats | None]:
    """Edges (mm) of a centre or width per layer; x and y only in layers that are cut in phi."""
    usable = measuring_layers(calorimeter, key[-1])
    return [
        np.linspace(*lateral_range(found, key, layer), LATERAL_EDGES) if measures else None
        for layer, measures in zip(found.layers, usable, strict=True)
    ]
