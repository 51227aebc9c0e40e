"""The histograms of a sample that its separation powers compare; those of its parts add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from caloforge.observables import Floats
from caloforge.validate.binning import LAYER_KEYS, SHOWER_KEYS, Binning
from caloforge.validate.summary import Summary

SMOOTHING = 10


class Counts(NamedTuple):
    """Bin contents, and how many entries there were and lie outside."""

    inside: Floats
    entries: int
    outside: int

    def plus(self, other: Counts) -> Counts:
        """The counts of both."""
        return Counts(
            self.inside + other.inside,
            self.entries + other.entries,
            self.outside + other.outside,
        )


def _plus(first: Counts | None, second: Counts | None) -> Counts | None:
    return None if first is None or second is None else first.plus(second)


def count(values: Floats, edges: Floats) -> Counts:
    """A histogram."""
    inside = np.histogram(values, bins=edges)[0].astype(np.float64)
    outside = np.count_nonzero((values < edges[0]) | (values > edges[-1]))
    return Counts(inside, len(values), int(outside))


@dataclass(frozen=True)
class Histograms:
    """Counts by observable, of the showers and layer by layer; None where there are no bins."""

    showers: Mapping[str, Counts | None]
    layers: Mapping[str, list[Counts | None]]
    cell_energy: Counts
    notes: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Histograms) -> Histograms:
        return Histograms(
            {key: _plus(mine, other.showers[key]) for key, mine in self.showers.items()},
            {
                key: [_plus(a, b) for a, b in zip(mine, other.layers[key], strict=True)]
                for key, mine in self.layers.items()
            },
            self.cell_energy.plus(other.cell_energy),
            self.notes,
        )


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
    if key == "depth":
        return table.depth[table.filled]
    return table.hits if key == "hits" else table.hit_pairs


def histograms(sample: Summary, bins: Binning) -> Histograms:
    """All histograms of a sample; the radius only where some layer measures it."""
    showers: dict[str, Counts | None] = {}
    for key in SHOWER_KEYS:
        edges = bins.showers[key]
        showers[key] = None if edges is None else count(shower_values(sample, key), edges)
    layers: dict[str, list[Counts | None]] = {}
    for key in LAYER_KEYS:
        by_layer = bins.layers[key]
        if key.endswith("_r") and all(edges is None for edges in by_layer):
            continue  # no cylindrical layer: x and y say it all
        values = layer_values(sample, key, bins.empty_layers)
        layers[key] = [
            None if edges is None else count(column, edges)
            for column, edges in zip(values, by_layer, strict=True)
        ]
    spectrum = sample.spectrum
    total = int(spectrum.sum())
    cells = Counts(spectrum[1:-1], total, total - int(spectrum[1:-1].sum()))
    return Histograms(showers, layers, cells, bins.notes)


def bin_growth(counts: Sequence[Counts | None], more: float) -> float:
    """Over how many times more bins the entries spread when there are 1 + ``more`` times as many.

    Of histograms that equal samples of n showers fill; ``more`` counts up to 1. The bins are
    weighted by 1 / entries, as separation powers are; 1 without any. Bins without entries that
    further entries would hit are estimated from the bins with few entries, by -sum (-more)^j
    P(B >= j) over the bins, j their entries, B binomial of 10 trials with 1 / (1 + more).

    Source: I. J. Good, G. H. Toulmin, Biometrika 43 (1956) 45, smoothed as B. Efron, R. Thisted,
    Biometrika 63 (1976) 435.
    """
    from scipy.stats import binom

    more = min(more, 1.0)
    now = new = 0.0
    for each in counts:
        if each is None or not each.entries:
            continue
        filled = each.inside[each.inside > 0]
        few = filled[filled <= SMOOTHING]
        chance = binom.sf(few - 1, SMOOTHING, 1 / (1 + more))
        now += len(filled) / each.entries
        new -= float(np.sum((-more) ** few * chance)) / each.entries
    return 1 + new / now if now else 1.0
