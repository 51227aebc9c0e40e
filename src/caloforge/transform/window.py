"""The central cells, and a range of layers."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt, model_validator

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, detector_names, load_detector
from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.hits import count_outside, keep_hits
from caloforge.transform.tally import Tally


class Window(Step):
    """Keep the central ``nx`` x ``ny`` cells of every layer, and of ``layers`` (first, last) those
    from first up to, but without, last. What lies outside is counted.
    """

    kind: ClassVar[str] = "window"

    nx: PositiveInt
    ny: PositiveInt
    layers: tuple[NonNegativeInt, PositiveInt] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.layers is not None and self.layers[0] >= self.layers[1]:
            first, last = self.layers
            raise ValueError(f"layers {first}:{last} are none, the last one must be larger")
        return self

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The window, under the shipped name when it is a shipped detector.

        Raises:
            GeometryError: there is no such window.
        """
        return window_calorimeter(before, self.nx, self.ny, self.layers)

    def apply(self, showers: Showers, tally: Tally) -> Showers:
        """The hits inside the window, numbered in its cells.

        Raises:
            GeometryError: there is no such window.
        """
        tally.enter(showers)
        small = self.calorimeter(showers.calorimeter)
        cell = _new_numbers(showers.calorimeter, small, self._first)[showers.cell]
        kept = cell >= 0
        tally.add(0.0, *count_outside(showers, kept))
        return keep_hits(showers, kept, cell=cell, calorimeter=small)

    def note(self, tally: Tally) -> str | None:
        """How much energy lay outside the window."""
        return tally.note(f"window {self.nx}x{self.ny}")

    @property
    def _first(self) -> int:
        return 0 if self.layers is None else self.layers[0]


def window_calorimeter(
    calorimeter: Calorimeter, nx: int, ny: int, layers: tuple[int, int] | None = None
) -> Calorimeter:
    """The central ``nx`` x ``ny`` cells, under the shipped name when it is a shipped detector.

    Args:
        calorimeter: the whole.
        nx: cells along x.
        ny: cells along y.
        layers: (first, last): only the layers from first up to, but without, last.

    Raises:
        GeometryError: there is no such window.
    """
    name = f"{calorimeter.name}-{nx}x{ny}"
    small = calorimeter.window(nx, ny, name)
    if layers is not None:
        first, last = layers
        if not 0 <= first < last <= calorimeter.n_layers:
            raise GeometryError(
                f"{calorimeter.name}: no layers {first}:{last} among its {calorimeter.n_layers}; "
                f"use a range within 0:{calorimeter.n_layers}"
            )
        if (first, last) != (0, calorimeter.n_layers):
            update = {
                "name": f"{name}-layers-{first}-{last}",
                "description": f"{small.description}, layers {first} to {last - 1}",
                "layers": small.layers[first:last],
            }
            small = Calorimeter(**{**dict(small), **update})
    for shipped in map(load_detector, detector_names()):
        if shipped.hash == small.hash:
            return shipped
    return small


def central_window(showers: Showers, small: Calorimeter) -> Showers:
    """The hits inside the window ``small`` of all layers, numbered in its cells."""
    cell = _new_numbers(showers.calorimeter, small, 0)[showers.cell]
    return keep_hits(showers, cell >= 0, cell=cell, calorimeter=small)


def _new_numbers(whole: Calorimeter, small: Calorimeter, first: int) -> NDArray[np.int64]:
    """For every cell of ``whole`` its number in ``small``, -1 outside; shape (n_cells,)."""
    numbers = np.full(whole.n_cells, -1, dtype=np.int64)
    for number, layer in enumerate(small.layers):
        wide = whole.layers[first + number].segmentation.shape
        narrow = layer.segmentation.shape
        a, b = ((w - n) // 2 for w, n in zip(wide, narrow, strict=True))
        start, stop = whole.layer_offset[first + number : first + number + 2]
        inside = numbers[start:stop].reshape(wide)[a : a + narrow[0], b : b + narrow[1]]
        own = np.arange(*small.layer_offset[number : number + 2])
        inside[...] = own.reshape(narrow)
    return numbers
