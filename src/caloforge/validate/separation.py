"""Separation power between the histograms of two samples (CaloChallenge)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from caloforge.observables import TINY
from caloforge.validate.binning import Binning, binning
from caloforge.validate.histograms import Counts, Histograms, histograms
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


def _dropped(counts: Sequence[Counts | None]) -> float | None:
    known = [each for each in counts if each is not None]
    entries = sum(each.entries for each in known)
    return sum(each.outside for each in known) / entries if entries else None


def separation(reference: Summary, generated: Summary, bins: Binning | None = None) -> Separation:
    """Separation power of every observable between two samples.

    Args:
        reference: the reference sample.
        generated: the sample to judge, with the reference's ``spectrum_edges``.
        bins: the edges; the reference's :func:`binning` by default.
    """
    bins = bins or binning(reference)
    return separate(histograms(reference, bins), histograms(generated, bins))


def separate(reference: Histograms, generated: Histograms) -> Separation:
    """Separation power of every observable between two sets of histograms with the same bins."""
    notes = {f"separation.{key}": text for key, text in reference.notes.items()}
    result = Separation(notes=notes)
    for key, ref in reference.showers.items():
        _shower(result, key, ref, generated.showers[key])
    for key, layers in reference.layers.items():
        _layers(result, key, layers, generated.layers[key])
    cells = generated.cell_energy
    power = separation_power(reference.cell_energy.inside, cells.inside)
    result.value["cell_energy"] = power
    result.out_of_range["cell_energy"] = _dropped([cells])
    if power is None:
        result.notes["separation.cell_energy"] = "no hits above the threshold in either sample"
    return result


def _shower(
    result: Separation, key: str, reference: Counts | None, generated: Counts | None
) -> None:
    result.out_of_range[key] = _dropped([generated])
    if reference is None or generated is None:
        result.value[key] = None
        result.notes[f"separation.{key}"] = "every reference shower is empty"
        return
    result.value[key] = separation_power(reference.inside, generated.inside)
    if result.value[key] is None:
        result.notes[f"separation.{key}"] = "no entry of either sample lies in range"


def _layers(
    result: Separation,
    key: str,
    reference: Sequence[Counts | None],
    generated: Sequence[Counts | None],
) -> None:
    values = [
        None if ref is None or gen is None else separation_power(ref.inside, gen.inside)
        for ref, gen in zip(reference, generated, strict=True)
    ]
    known = [value for value in values if value is not None]
    result.by_layer[key] = values
    result.value[key] = float(np.mean(known)) if known else None
    result.out_of_range[key] = _dropped(generated)
    if not known:
        result.notes[f"separation.{key}"] = "no layer has entries or cells apart along this axis"
