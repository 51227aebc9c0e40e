"""The shower's own frame: cells counted from the particle's line instead of the layers' middle.

Particles that come at an angle pass every layer at another place. The frame of such a shower is
``margin`` columns wider on both sides than the calorimeter and moves over its layers by whole
cells, so that the line stays within half a cell of the frame's middle; only what is left of the
distance do the networks have to know. Particles without an angle have the calorimeter's own frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter
from caloforge.geometry.segmentation import CartesianGrid
from caloforge.sampling.arrays import Doubles, Integers
from caloforge.sampling.grid import LayerGrid

APART_SPREAD = 12.0**-0.5
"""Standard deviation of where lines cross the frame's middle cells, even over one cell."""


class Frame:
    """Where the shower's cells are.

    Args:
        calorimeter: where the showers happen.
        config: the model's configuration: ``condition``, ``margin`` and ``depth``.

    Raises:
        ConfigError: a margin where the layers are not all the same cartesian grid.

    ``grid`` are the frame's cells, ``inner`` those of the calorimeter; ``column`` is how many cells
    a column has.
    """

    def __init__(self, calorimeter: Calorimeter, config: Mapping[str, Any]) -> None:
        self.columns = tuple(config["condition"])
        self.margin, self.depth = int(config["margin"]), float(config["depth"])
        self.inner = self.grid = LayerGrid.of(calorimeter)
        layers = calorimeter.layers
        self.middle = np.array([layer.z + layer.thickness / 2 for layer in layers])
        self.column = 1
        if self.margin:
            first = layers[0].segmentation
            if calorimeter.grid_shape is None or not isinstance(first, CartesianGrid):
                raise ConfigError(
                    f"margin {self.margin}: {calorimeter.name} has not the same cartesian cells in "
                    "every layer; use margin 0"
                )
            wide = first.model_copy(update={"nx": first.nx + 2 * self.margin})
            layers = tuple(layer.model_copy(update={"segmentation": wide}) for layer in layers)
            self.grid = LayerGrid.of(
                Calorimeter(name=f"frame of {calorimeter.name}", layers=layers)
            )
            self.column, self.pitch = first.ny, first.dx

    def known(self, condition: NDArray[np.floating[Any]]) -> Doubles:
        """What the networks know, (B, n), of conditions (B, C) in MeV, rad and mm.

        The energy becomes its logarithm, the point on the particle's line that at ``depth``.
        """
        known = np.array(condition, dtype=np.float64)
        known[:, 0] = np.log(known[:, 0])
        if "z" in self.columns:
            back = self.depth - known[:, self.columns.index("z")]
            if "x" in self.columns:
                known[:, self.columns.index("x")] += back * self._slope(condition)
            known = np.delete(known, self.columns.index("z"), axis=1)
        return known

    def places(self, condition: NDArray[np.floating[Any]]) -> tuple[Integers, Doubles]:
        """How the frames of showers lie on the layers.

        Returns:
            (B, L) frame cell that lies on the layer's first one; (B, L) what is left of the
            distance between the line and the frame's middle along x, in cells.
        """
        rows, layers = len(condition), len(self.middle)
        if not self.margin:
            return np.zeros((rows, layers), dtype=np.int64), np.zeros((rows, layers))
        known = self.known(condition)
        names = [name for name in self.columns if name != "z"]
        x = known[:, names.index("x")] if "x" in names else np.zeros(rows)
        line = x[:, None] + (self.middle - self.depth) * self._slope(condition)[:, None]
        line /= self.pitch
        moved = np.clip(np.rint(line), -self.margin, self.margin)
        return ((self.margin - moved) * self.column).astype(np.int64), line - moved

    def crossing(self, apart: Doubles) -> Doubles:
        """Where lines cross the frame's middle cells, in network units, (B, L, 1).

        Most energy is in that cell, so this decides where a layer's centre can be. (B, L, 0) in the
        calorimeter's own frame: all layers are crossed alike, at the impact point.

        Args:
            apart: (B, L), see :meth:`places`.
        """
        return apart[..., None][..., : int(self.margin > 0)] / APART_SPREAD

    def _slope(self, condition: NDArray[np.floating[Any]]) -> Doubles:
        """dx/dz of the lines (B,)."""
        if "theta" not in self.columns:
            return np.zeros(len(condition))
        theta = np.asarray(condition[:, self.columns.index("theta")], dtype=np.float64)
        return np.asarray(np.cos(theta) / np.maximum(np.sin(theta), 1e-3))
