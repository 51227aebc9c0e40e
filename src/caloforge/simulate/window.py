"""The central window of showers that were simulated in a wider calorimeter."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter, detector_names, load_detector
from caloforge.showers import Showers


def window_calorimeter(calorimeter: Calorimeter, nx: int, ny: int) -> Calorimeter:
    """The central ``nx`` x ``ny`` cells, under the shipped name when it is a shipped detector.

    Raises:
        GeometryError: there is no such window.
    """
    small = calorimeter.window(nx, ny, f"{calorimeter.name}-{nx}x{ny}")
    for name in detector_names():
        shipped = load_detector(name)
        if shipped.hash == small.hash:
            return shipped
    return small


def central_window(showers: Showers, small: Calorimeter) -> Showers:
    """The hits inside the window ``small``, numbered in its cells."""
    layer, i, j = showers.calorimeter.cell_coordinates(showers.cell)
    wide = np.array([item.segmentation.shape for item in showers.calorimeter.layers])
    narrow = np.array([item.segmentation.shape for item in small.layers])
    margin = (wide - narrow) // 2
    i, j = i - margin[layer, 0], j - margin[layer, 1]
    inside = (i >= 0) & (j >= 0) & (i < narrow[layer, 0]) & (j < narrow[layer, 1])
    return Showers.from_hits(
        small,
        showers.incident,
        showers.hit_shower[inside],
        small.cell_index(layer[inside], i[inside], j[inside]),
        showers.energy[inside],
        showers.provenance,
    )
