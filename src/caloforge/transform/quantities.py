"""One number per shower, for cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import GeometryError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.showers import COLUMNS, Showers

Floats = NDArray[np.float64]

INCIDENT: tuple[str, ...] = tuple(dict.fromkeys((*COLUMNS, "opening_angle")))
"""Columns of the incident table: MeV, mm, rad."""

SHOWER: tuple[str, ...] = ("total_energy", "hits", "h_over_e")
"""Computed from the cells: MeV, a number, no unit."""


def quantity(showers: Showers, name: str, hadronic_from: int | None = None) -> Floats:
    """The quantity ``name`` of every shower, shape (n,).

    Args:
        showers: the showers.
        name: one of :data:`INCIDENT` or :data:`SHOWER`.
        hadronic_from: first hadronic layer, for ``h_over_e``.

    Raises:
        GeometryError: the hadronic layers cannot be told.
        ShowerError: the incident table lacks the column.
    """
    if name == "total_energy":
        return showers.total_energy
    if name == "hits":
        return showers.hits_per_shower.astype(np.float64)
    if name == "h_over_e":
        return h_over_e(showers, hadronic_from)
    if name not in showers.incident:
        raise ShowerError(
            f"cut on {name}: the incident table has only {', '.join(showers.incident)}; "
            "leave this cut out"
        )
    return showers.incident[name].astype(np.float64)


def h_over_e(showers: Showers, hadronic_from: int | None = None) -> Floats:
    """Energy in the hadronic layers over that in the layers before; infinite where that is zero.

    An empty shower gives infinity too.

    Raises:
        GeometryError: see :func:`first_hadronic`.
    """
    first = first_hadronic(showers.calorimeter, hadronic_from)
    hadronic = showers.calorimeter.cell_layer[showers.cell] >= first
    sums = [
        np.bincount(showers.hit_shower[part], weights=showers.energy[part], minlength=len(showers))
        for part in (hadronic, ~hadronic)
    ]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(sums[1] > 0, sums[0] / sums[1], np.inf)


def first_hadronic(calorimeter: Calorimeter, given: int | None = None) -> int:
    """The first hadronic layer: as given, or where the second of two kinds of cells begins.

    Raises:
        GeometryError: no such layer, or the layers are not two consecutive blocks of equal cells.
    """
    if given is not None:
        if not 0 < given < calorimeter.n_layers:
            raise GeometryError(
                f"h_over_e: hadronic layers from {given} on, but '{calorimeter.name}' has "
                f"{calorimeter.n_layers} layers; give a number from 1 to {calorimeter.n_layers - 1}"
            )
        return given
    grids = [layer.segmentation for layer in calorimeter.layers]
    borders = [k for k in range(1, len(grids)) if grids[k] != grids[k - 1]]
    if len(borders) != 1:
        raise GeometryError(
            f"h_over_e: '{calorimeter.name}' has {len(borders) + 1} blocks of equal cells, not an "
            "electromagnetic and a hadronic one; give the first hadronic layer (hadronic_from; "
            "'--cut h_over_e@25=:0.1' on the command line)"
        )
    return borders[0]
