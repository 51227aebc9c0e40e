"""Fast low-level inputs: the cells that are often hit, and all cells summed over zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.observables import Floats, cell_axis
from caloforge.showers import Showers
from caloforge.validate.classifier.labelled import Features

RINGS = 6
SECTORS = 4
OFTEN = 0.1
"""A cell is an input of its own where at least this share of the showers of a sample hit it."""

MAX_CELLS = 3000
"""Most cells that are inputs of their own: those that are hit most often."""

CLIP = 8.0
"""Largest standardised input, in standard deviations of the reference."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Zones:
    """A partition of the cells: the zone number of every cell, and how many zones there are."""

    of_cell: Numbers
    n: int

    def matrix(self) -> Any:
        """(n_cells, n) matrix that adds up the cells of every zone."""
        from scipy.sparse import csr_matrix

        cells = len(self.of_cell)
        return csr_matrix(
            (np.ones(cells, dtype=np.float32), (np.arange(cells), self.of_cell)), (cells, self.n)
        )


def ring_of_cell(calorimeter: Calorimeter, often: Floats) -> Numbers:
    """0..5 for every cell: rings of its layer with about equal numbers of hits each.

    ``often`` is the number of hits of every cell in the reference. r from the calorimeter's axis.
    """
    radius = cell_axis(calorimeter, "r")
    ring = np.zeros(calorimeter.n_cells, dtype=np.int64)
    for start, stop in zip(calorimeter.layer_offset, calorimeter.layer_offset[1:], strict=False):
        values, inverse = np.unique(radius[start:stop].round(6), return_inverse=True)
        weight = np.bincount(inverse, often[start:stop] + 1e-9, minlength=len(values))
        middle = (np.cumsum(weight) - weight / 2) / weight.sum()
        ring[start:stop] = np.minimum((middle * RINGS).astype(np.int64), RINGS - 1)[inverse]
    return ring


def zones(calorimeter: Calorimeter, often: Floats) -> list[Zones]:
    """Three partitions: layers, rings of the layers, quadrants of the rings."""
    layer = calorimeter.cell_layer
    position = calorimeter.cell_positions
    angle = np.arctan2(position[:, 1], position[:, 0]) / (2 * np.pi) + 0.5
    sector = np.minimum((angle * SECTORS).astype(np.int64), SECTORS - 1)
    ring = layer * RINGS + ring_of_cell(calorimeter, often)
    n = calorimeter.n_layers
    return [
        Zones(layer, n),
        Zones(ring, n * RINGS),
        Zones(ring * SECTORS + sector, n * RINGS * SECTORS),
    ]


def _hits(showers: Showers, values: NDArray[Any]) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(showers), showers.calorimeter.n_cells)
    parts = (values, showers.cell.astype(np.int64), showers.offset.astype(np.int64))
    return csr_matrix(parts, shape, dtype=np.float32)


def _over(showers: Showers, normed: bool) -> Floats:
    """What every hit is divided by: Einc, or the energy of its layer."""
    if not normed:
        return np.asarray(showers.incident.energy[showers.hit_shower])
    layer = showers.calorimeter.cell_layer[showers.cell]
    return np.asarray(showers.layer_energy[showers.hit_shower, layer])


@dataclass(frozen=True)
class LowInputs:
    """Low-level inputs of two samples, float32: the first ``cells`` columns are single cells."""

    reference: Features
    generated: Features
    cells: int


def _zone_columns(
    showers: Showers, parts: list[Zones], smallest: float, normed: bool
) -> list[Features]:
    """Energy and hits of every zone; ``smallest`` is added under the energy's logarithm."""
    energy = _hits(showers, showers.energy / _over(showers, normed))
    count = _hits(showers, np.ones(showers.n_hits))
    columns = [np.log10(showers.incident.energy)[:, None].astype(np.float32)]
    if normed:
        columns.append(np.log10(showers.layer_energy + 1e-8).astype(np.float32))
    for part in parts:
        matrix = part.matrix()
        columns.append(np.log10((energy @ matrix).toarray() + np.float32(smallest)))
        columns.append(np.log10((count @ matrix).toarray() + np.float32(1)))
    return columns


def _standardise(first: Features, second: Features) -> None:
    """Both samples in units of the first one's spread, in place; constant columns become 0."""
    mean, sigma = first.mean(axis=0), first.std(axis=0)
    scale = np.where(sigma > 1e-6, sigma, 1.0)
    for table in (first, second):
        table -= mean
        table /= scale
        np.clip(table, -CLIP, CLIP, out=table)


def _often_hit(reference: Showers, generated: Showers) -> Numbers:
    """The cells that are inputs of their own."""
    n_cells = reference.calorimeter.n_cells
    first, second = (
        np.bincount(sample.cell, minlength=n_cells) / max(len(sample), 1)
        for sample in (reference, generated)
    )
    share = np.maximum(first, second)
    order = np.argsort(-share, kind="stable")[:MAX_CELLS]
    return np.sort(order[share[order] >= OFTEN])


def low_level_inputs(reference: Showers, generated: Showers, *, normed: bool = False) -> LowInputs:
    """Cells and zones of two samples for the fast networks, float32.

    First the single cells: log10(Einc / 10 GeV), then the energy over Einc (``normed``: over the
    layer's energy) of every cell that 10 % of the showers of one sample hit (at most 3000), in
    units of the root mean square of the reference's hits. Then the zones, in which all cells
    count: log10 Einc (``normed``: and log10(E_layer + 1e-8)); energy over Einc (or E_layer) and
    number of hits of every zone as log10(e + e0) and log10(hits + 1), e0 a tenth of the
    reference's median hit. Zones: the layers, six rings of each layer with about equal numbers of
    hits, quadrants of the rings. Zone inputs have the reference's mean taken off, are divided by
    its standard deviation and clipped to eight of them.
    """
    cells = _often_hit(reference, generated)
    relative = reference.energy / _over(reference, normed)
    smallest, unit = 1.0, 1.0
    if len(relative):
        smallest, unit = 0.1 * float(np.median(relative)), float(np.sqrt(np.mean(relative**2)))
    n_cells = reference.calorimeter.n_cells
    often = np.bincount(reference.cell, minlength=n_cells).astype(np.float64)
    parts = zones(reference.calorimeter, often)
    tables = []
    for sample in (reference, generated):
        incident = np.log10(sample.incident.energy / 1e4)[:, None].astype(np.float32)
        single = _hits(sample, sample.energy / _over(sample, normed) / unit)[:, cells].toarray()
        tables.append(
            np.concatenate([incident, single, *_zone_columns(sample, parts, smallest, normed)], 1)
        )
    width = 1 + len(cells)
    _standardise(tables[0][:, width:], tables[1][:, width:])
    return LowInputs(tables[0], tables[1], width)


def low_level_features(
    reference: Showers, generated: Showers, *, normed: bool = False
) -> tuple[Features, Features]:
    """The tables of :func:`low_level_inputs`: single cells and zones, (n, d) float32 each."""
    inputs = low_level_inputs(reference, generated, normed=normed)
    return inputs.reference, inputs.generated
