"""Separation power between the histograms of two samples (CaloChallenge)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from caloforge.validate.binning import LAYER_KEYS, SHOWER_KEYS, Binning, binning
from caloforge.validate.observables import TINY, Floats
from caloforge.validate.summary import Summary


def separation_power(reference: ArrayLike, generated: ArrayLike) -> float | None:
    """1/2 sum (p - q)^2 / (p + q + 1e-16) over the bins of two histograms.

    ``reference`` and ``generated`` are bin contents (counts, or density times bin width); p and q
    are these, normalised to a sum of 1. 0: equal shapes; 1: no bin in common. A histogram without
    entries has no shape: 1 against a filled one, None if both are empty.

    Source: CaloChallenge evaluation code (out-of-range entries are dropped before).
    """
    p = np.asarray(reference, dtype=np.float64)
    q = np.asarray(generated, dtype=np.float64)
    if p.sum() <= 0 or q.sum() <= 0:
        return None if p.sum() <= 0 and q.sum() <= 0 else 1.0
    p, q = p / p.sum(), q / q.sum()
    return float(0.5 * np.sum((p - q) ** 2 / (p + q + TINY)))


@dataclass
class Separation:
    """Separation powers of two samples.

    ``value``: per key, for layer-wise keys the mean over the layers; ``by_layer``: each layer
    (None where it cannot be computed); ``out_of_range``: share of the generated entries that lie
    outside the histogram and are dropped; ``notes``: why a value is None, or its bins unusual.
    """

    value: dict[str, float | None] = field(default_factory=dict)
    by_layer: dict[str, list[float | None]] = field(default_factory=dict)
    out_of_range: dict[str, float | None] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def _counts(values: Floats, edges: Floats) -> Floats:
    return np.histogram(values, bins=edges)[0].astype(np.float64)


def _dropped(values: list[Floats], edges: list[Floats | None]) -> float | None:
    total = outside = 0
    for column, edge in zip(values, edges, strict=True):
        if edge is not None:
            total += len(column)
            outside += int(np.count_nonzero((column < edge[0]) | (column > edge[-1])))
    return outside / total if total else None


def layer_values(sample: Summary, key: str, empty: bool = False) -> list[Floats]:
    """The entries of a layer-wise observable, layer by layer: filled layers only.

    Sparsity also counts the empty layers, and with ``empty`` centres and widths do, as 0.
    """
    table = getattr(sample.observables, key)
    filled = sample.observables.layer_energy > 0
    if key == "sparsity" or (empty and key != "layer_energy"):
        return list(table.T)
    return [table[filled[:, k], k] for k in range(table.shape[1])]


def shower_values(sample: Summary, key: str) -> Floats:
    """The entries of a shower-wise observable: depth of the filled showers, else of all."""
    table = sample.observables
    if key == "etot_over_einc":
        return table.response
    return table.depth[table.filled] if key == "depth" else table.hits


def separation(reference: Summary, generated: Summary, bins: Binning | None = None) -> Separation:
    """Separation power of every observable between two samples.

    Args:
        reference: the reference sample.
        generated: the sample to judge, with the reference's ``spectrum_edges``.
        bins: the edges; the reference's :func:`binning` by default.
    """
    bins = bins or binning(reference)
    result = Separation(notes={f"separation.{key}": text for key, text in bins.notes.items()})
    _showers(result, reference, generated, bins.showers)
    for key in LAYER_KEYS:
        edges = bins.layers[key]
        if key.endswith("_r") and all(edge is None for edge in edges):
            continue  # no cylindrical layer: x and y say it all
        ref, gen = (layer_values(s, key, bins.empty_layers) for s in (reference, generated))
        _layers(result, key, ref, gen, edges)
    result.value["cell_energy"] = separation_power(
        reference.spectrum[1:-1], generated.spectrum[1:-1]
    )
    inside, total = generated.spectrum[1:-1].sum(), generated.spectrum.sum()
    result.out_of_range["cell_energy"] = float(1 - inside / total) if total else None
    if result.value["cell_energy"] is None:
        result.notes["separation.cell_energy"] = "no hits above the threshold in either sample"
    return result


def _showers(
    result: Separation, reference: Summary, generated: Summary, bins: Mapping[str, Floats | None]
) -> None:
    for key in SHOWER_KEYS:
        edges = bins[key]
        ref, gen = shower_values(reference, key), shower_values(generated, key)
        result.out_of_range[key] = _dropped([gen], [edges])
        if edges is None:
            result.value[key] = None
            result.notes[f"separation.{key}"] = "every reference shower is empty"
            continue
        result.value[key] = separation_power(_counts(ref, edges), _counts(gen, edges))
        if result.value[key] is None:
            result.notes[f"separation.{key}"] = "no entry of either sample lies in range"


def _layers(
    result: Separation,
    key: str,
    reference: list[Floats],
    generated: list[Floats],
    edges: list[Floats | None],
) -> None:
    values = [
        None if edge is None else separation_power(_counts(r, edge), _counts(g, edge))
        for r, g, edge in zip(reference, generated, edges, strict=True)
    ]
    known = [value for value in values if value is not None]
    result.by_layer[key] = values
    result.value[key] = float(np.mean(known)) if known else None
    result.out_of_range[key] = _dropped(generated, edges)
    if not known:
        result.notes[f"separation.{key}"] = "no layer has entries or cells apart along this axis"
