"""Bin edges of the separation power. They depend on the reference alone, so that several
generated samples are comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from caloforge.observables import Floats, measuring_layers
from caloforge.observables.table import CENTRES_AND_WIDTHS
from caloforge.validate.calochallenge.data_sets import DataSet, calochallenge_data_set
from caloforge.validate.calochallenge.edges import (
    lateral_edges,
    layer_energy_edges,
    response_edges,
)
from caloforge.validate.summary import Summary

LAYER_KEYS = ("layer_energy", *CENTRES_AND_WIDTHS, "sparsity")
SHOWER_KEYS = ("etot_over_einc", "hits", "hit_pairs", "depth")
LAYER_ENERGY_EDGES = 40
COVERAGE = 0.995


@dataclass(frozen=True)
class Binning:
    """Edges of every histogram; ``layers[key][k]`` is None where layer k says nothing.

    ``name``: 'reference' where the edges follow from the reference, 'calochallenge-2' (-1-photons,
    -1-pions, -3) where they are the official ones; ``empty_layers``: whether empty layers enter the
    histograms of centres and widths, with 0; ``notes``: by key, where official edges do not fit.
    """

    showers: Mapping[str, Floats | None]
    layers: Mapping[str, list[Floats | None]]
    cell_energy: Floats
    name: str = "reference"
    empty_layers: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def round_up(value: float) -> float:
    """The next of 1, 2, 3, 5, 10, 20, 30, 50, ... at or above a positive value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * power for step in (1, 2, 3, 5, 10) if step * power >= value * 0.999999)
    )


def _spread(values: Floats, bins: int) -> Floats | None:
    """Equal bins over the range of the values, widened where there is only one value."""
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        pad = max(abs(low), 1.0) * 0.5
        low, high = low - pad, high + pad
    return np.linspace(low, high, bins + 1)


def _hits(values: Floats) -> Floats:
    """At most 100 bins over the reference's range, each a whole number of hits wide."""
    low, high = float(values.min()), float(values.max())
    step = max(1.0, np.ceil((high - low + 1) / 100))
    bins = int(np.ceil((high - low + 1) / step))
    return np.linspace(low - 0.5, low - 0.5 + step * bins, bins + 1)


def _layer_energy(values: Floats, threshold: float) -> Floats | None:
    positive = values[values > 0]
    if not len(positive):
        return None
    low, high = max(float(positive.min()), threshold), float(positive.max())
    if high <= low * (1 + 1e-6):
        low, high = low / 2, high * 2
    return np.geomspace(low, high, LAYER_ENERGY_EDGES)


def _lateral(reference: Summary, key: str) -> list[Floats | None]:
    """100 bins, the same for all layers: centres over +-R, widths and radii over 0..R mm.

    R is the 99.5 % quantile of |value| over the filled layers, rounded up to 1, 2, 3 or 5 times
    a power of ten: 30 mm for electrons of 10 to 100 GeV in ``lcd-ecal``, as in CaloChallenge
    data sets 2 and 3.
    """
    table = reference.observables
    usable = measuring_layers(reference.calorimeter, key[-1])
    filled = (table.layer_energy > 0) & usable
    values = np.abs(getattr(table, key)[filled])
    if not len(values):
        return [None] * reference.calorimeter.n_layers
    quantile = float(np.quantile(values, COVERAGE))
    top = round_up(quantile) if quantile > 1e-6 else 1.0
    low = -top if key in ("centre_x", "centre_y") else 0.0
    edges = np.linspace(low, top, 101)
    return [
        edges if usable[layer] and filled[:, layer].any() else None
        for layer in range(reference.calorimeter.n_layers)
    ]


def _shower_edges(reference: Summary) -> dict[str, Floats | None]:
    table = reference.observables
    mean = float(table.response.mean())
    return {
        "etot_over_einc": np.linspace(0.5 * mean, 1.5 * mean, 101) if mean > 0 else None,
        "hits": _hits(table.hits),
        "hit_pairs": np.linspace(0.0, 2.0, 101),
        "depth": _spread(table.depth[table.filled], 100),
    }


def _sparsity(reference: Summary) -> list[Floats | None]:
    return [np.linspace(0.0, 1.0, 21)] * reference.calorimeter.n_layers


def _official(reference: Summary, found: DataSet) -> Binning:
    """The edges of the CaloChallenge; hits and depth, which it does not have, as elsewhere."""
    showers, notes = _shower_edges(reference), {}
    mean = float(reference.observables.response.mean())
    response = response_edges(mean)
    if response is not None:
        showers["etot_over_einc"] = response
    elif mean > 0:
        notes["etot_over_einc"] = (
            f"the mean response of the reference, {mean:.3g}, is outside the CaloChallenge's 0.5 "
            "to 1.5: 100 bins from 0.5 to 1.5 times this mean instead"
        )
    layers = {
        key: lateral_edges(found, reference.calorimeter, key)
        for key in LAYER_KEYS
        if key.startswith(("centre", "width"))
    }
    layers["layer_energy"] = layer_energy_edges(
        reference.observables.layer_energy, reference.threshold
    )
    layers["sparsity"] = _sparsity(reference)
    return Binning(
        showers,
        layers,
        reference.spectrum_edges,
        name=f"calochallenge-{found.name}",
        empty_layers=True,
        notes=notes,
    )


def binning(reference: Summary) -> Binning:
    """All edges, from the reference sample (see ``docs/metrics.md`` for the table).

    In the geometries of the CaloChallenge its official edges.
    """
    found = calochallenge_data_set(reference.calorimeter)
    if found is not None:
        return _official(reference, found)
    table = reference.observables
    threshold = reference.calorimeter.cell_threshold
    layers: dict[str, list[Floats | None]] = {
        "layer_energy": [_layer_energy(column, threshold) for column in table.layer_energy.T],
        "sparsity": _sparsity(reference),
    }
    for key in LAYER_KEYS:
        if key not in layers:
            layers[key] = _lateral(reference, key)
    return Binning(
        showers=_shower_edges(reference),
        layers=layers,
        cell_energy=reference.spectrum_edges,
    )
