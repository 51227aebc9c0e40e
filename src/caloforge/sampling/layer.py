"""A layer of a shower while its hits find their cells: what moves and the heat bath are told."""

from __future__ import annotations

from typing import NamedTuple

from caloforge.sampling.arrays import Doubles, Unsigned
from caloforge.sampling.hits import Sites
from caloforge.sampling.spectra import Places, Spectra


class Layer(NamedTuple):
    """One layer with its first hits.

    Args:
        sites: the field of the hits, see :func:`.hits.draw_hits`.
        beside: (cells, SIDES) cells that share a side, or the number of cells.
        hit: (cells,) the hits come first; they change.
        node: (cells,) nodes of the hits' spectra; they change, too.
        decoded: what the decoder says of the cells' spectra.
        spectra: the tabulated spectra.
        x, y: (cells,) positions.
        centre: the wanted centre.
    """

    sites: Sites
    beside: Unsigned
    hit: Unsigned
    node: Unsigned
    decoded: Places
    spectra: Spectra
    x: Doubles
    y: Doubles
    centre: tuple[float, float]
