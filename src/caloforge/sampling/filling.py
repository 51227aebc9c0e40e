"""From numbers of layers to lists of hits: room for the compiled loops of :mod:`.cells`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.sampling.arrays import Array, Integers
from caloforge.sampling.cells import Layers, Rows, fill_layers
from caloforge.sampling.grid import LayerGrid
from caloforge.sampling.layer_numbers import NEVER
from caloforge.sampling.spectra import Spectra


def layers_of(
    grid: LayerGrid,
    inner: LayerGrid,
    config: Mapping[str, Any],
    threshold: float,
    group: NDArray[Any],
    offset: NDArray[Any],
    coupling: NDArray[Any],
) -> Layers:
    """What the layers are like, from the model's configuration and weights.

    Args:
        grid: the frame's cells.
        inner: the cells that a layer can have.
        config: has ``tolerances`` and ``tries``.
        threshold: least energy of a hit, MeV.
        group: (cells,) group of every cell.
        offset: (layers, 3, cells) added to what the decoder says.
        coupling: (layers, groups) of the field.
    """
    offset = offset.astype(np.float32, order="C")
    offset[:, 0][grid.number < 0] = NEVER
    group = group.astype(np.uint32)
    spill = np.exp(0.5 * coupling[:, group]).astype(np.float32, order="C")
    beside = np.where(inner.beside < 0, inner.beside.shape[1], inner.beside).astype(np.uint32)
    return Layers(
        group, offset, spill, np.ascontiguousarray(grid.x), np.ascontiguousarray(grid.y), beside,
        np.array(config["tolerances"], dtype=np.float64), float(config["tries"]), threshold,
    )  # fmt: skip


def fill(rows: Rows, layers: Layers, spectra: Spectra) -> tuple[Integers, Integers, Array]:
    """Hits found in every row, their cells' places in the layer, rising, and energies (MeV).

    The arguments are those of :func:`.cells.fill_layers`.
    """
    hits = rows.hits
    first = np.cumsum(hits) - hits
    found = np.empty(len(hits), dtype=np.int64)
    place = np.empty(int(hits.sum()), dtype=np.int64)
    out = np.empty(len(place), dtype=np.float32)
    fill_layers(rows, layers, spectra, first, found, place, out)
    if (found < hits).any():  # a layer with fewer cells than it should have hits
        real = np.arange(len(place)) - np.repeat(first, hits) < np.repeat(found, hits)
        place, out = place[real], out[real]
    return found, place, out
