"""The shower shapes that the trees see; nothing of the incident particle is among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.geometry.blocks import blocks_of
from caloforge.observables import Floats, Observables

Feature = Callable[[Observables, Calorimeter], Floats]


def _by_block(table: Observables, calorimeter: Calorimeter) -> Floats:
    first = [block.first_layer for block in blocks_of(calorimeter)]
    return np.add.reduceat(table.layer_energy, first, axis=1)


def _block_shares(table: Observables, calorimeter: Calorimeter) -> Floats:
    return _by_block(table, calorimeter) / np.maximum(table.total, 1e-16)[:, None]


def _columns(*names: str) -> Feature:
    """Observables of one or more columns each, side by side."""

    def columns(table: Observables, _: Calorimeter) -> Floats:
        return np.column_stack([getattr(table, name) for name in names])

    return columns


FEATURES: dict[str, Feature] = {
    "total": _columns("total"),
    "block_energy": _by_block,
    "block_share": _block_shares,
    "hits": _columns("hits", "hits_above", "hit_pairs"),
    "peak": _columns("peak_energy", "peak_share", "peak_layer"),
    "moments": _columns("moments"),
    "skewness": _columns("skewness"),
    "kurtosis": _columns("kurtosis"),
    "axis": _columns("slope", "measured_angle"),
    "radius": _columns("radius_50", "radius_90"),
    "depth": _columns("depth_50", "depth_90", "shower_depth_width", "roughness"),
    "layers": _columns("start_layer", "maximum_layer", "depth_layer"),
    "thirds": _columns("thirds"),
    "layer_energy": _columns("layer_energy"),
    "layer_share": _columns("layer_share"),
    "layer_width": _columns("width_x", "width_y"),
    "layer_centre": _columns("centre_x", "centre_y"),
    "e_ratio": _columns("e_ratio"),
    "sparsity": _columns("sparsity"),
}
"""By name: one or more columns of numbers per shower. The words are those of
:class:`~caloforge.observables.Observables`; a block is an ECAL or an HCAL."""

USUAL = tuple(name for name in FEATURES if name not in ("layer_energy", "layer_centre"))
"""All but the energies of the layers, which follow from the shares, and the centres."""


def feature_table(table: Observables, calorimeter: Calorimeter, names: Sequence[str]) -> Floats:
    """The features side by side, shape (n, columns), C-contiguous."""
    parts = [FEATURES[name](table, calorimeter) for name in names]
    return np.ascontiguousarray(np.column_stack(parts), dtype=np.float64)


def check_names(names: Sequence[str]) -> None:
    """Refuse names that are no features.

    Raises:
        ConfigError: naming one of them.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise ConfigError(f"unknown feature '{unknown[0]}'; known are {', '.join(FEATURES)}")
