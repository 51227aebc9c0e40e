"""How one calorimeter layer is cut into cells.

Inside a layer a cell is (i, j): (x, y) for a cartesian grid, (r, phi) for a cylindrical one,
numbered ``i * n_j + j``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator

Floats = NDArray[np.float64]


class _Grid(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CartesianGrid(_Grid):
    """``nx`` x ``ny`` cells of ``dx`` x ``dy`` mm, centred on ``centre`` (mm)."""

    kind: Literal["cartesian"] = "cartesian"
    nx: PositiveInt
    ny: PositiveInt
    dx: PositiveFloat
    dy: PositiveFloat
    centre: tuple[float, float] = (0.0, 0.0)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along (x, y)."""
        return self.nx, self.ny

    def axes(self) -> tuple[Floats, Floats]:
        """Cell centres along x and y (mm)."""
        x = (np.arange(self.nx, dtype=np.float64) - (self.nx - 1) / 2) * self.dx + self.centre[0]
        y = (np.arange(self.ny, dtype=np.float64) - (self.ny - 1) / 2) * self.dy + self.centre[1]
        return x, y

    def centres(self) -> tuple[Floats, Floats]:
        """x and y (mm) of every cell, each of shape (nx * ny,), in cell order."""
        x, y = self.axes()
        grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
        return grid_x.ravel(), grid_y.ravel()

    def beside(self) -> NDArray[np.int64]:
        """Cells that share a side with each, -1 where there is none: (nx * ny, 4)."""
        return _sides(np.arange(self.nx * self.ny).reshape(self.shape))

    def locate(self, x: Floats, y: Floats) -> NDArray[np.int64]:
        """Number of the cell holding each point (mm); -1 where a point lies outside."""
        i = np.floor((x - self.centre[0]) / self.dx + self.nx / 2).astype(np.int64)
        j = np.floor((y - self.centre[1]) / self.dy + self.ny / 2).astype(np.int64)
        inside = (i >= 0) & (i < self.nx) & (j >= 0) & (j < self.ny)
        return np.where(inside, i * self.ny + j, -1)


class CylindricalGrid(_Grid):
    """Rings between ``r_edges`` (mm) around the shower axis, each cut into ``n_phi`` sectors.

    Sector j is centred on ``(j + 0.5) * 2 pi / n_phi - pi`` (CaloChallenge and Par04 alike).
    An empty ``r_edges`` layer does not exist: leave such layers out.
    """

    kind: Literal["cylindrical"] = "cylindrical"
    r_edges: tuple[float, ...] = Field(min_length=2)
    n_phi: PositiveInt

    @field_validator("r_edges")
    @classmethod
    def _increasing(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if edges[0] < 0 or any(b <= a for a, b in pairwise(edges)):
            raise ValueError("r_edges must start at 0 or above and increase strictly")
        return edges

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along (r, phi)."""
        return len(self.r_edges) - 1, self.n_phi

    def axes(self) -> tuple[Floats, Floats]:
        """Ring centres (mm) and sector centres (rad)."""
        edges = np.asarray(self.r_edges, dtype=np.float64)
        borders = np.linspace(-np.pi, np.pi, self.n_phi + 1)  # to the last bit the CaloChallenge's
        return np.asarray(0.5 * (edges[1:] + edges[:-1])), 0.5 * (borders[1:] + borders[:-1])

    def centres(self) -> tuple[Floats, Floats]:
        """x and y (mm) of every cell, each of shape (n_r * n_phi,), in cell order.

        A ring that is not cut (``n_phi`` = 1) has its centre on the axis.
        """
        r, phi = self.axes()
        if self.n_phi == 1:
            return np.zeros_like(r), np.zeros_like(r)
        return np.outer(r, np.cos(phi)).ravel(), np.outer(r, np.sin(phi)).ravel()

    def beside(self) -> NDArray[np.int64]:
        """Cells that share a side with each, -1 where there is none: (n_r * n_phi, 4)."""
        place = np.arange(self.shape[0] * self.n_phi).reshape(self.shape)
        return _sides(place, around=self.n_phi > 2)

    def locate(self, x: Floats, y: Floats) -> NDArray[np.int64]:
        """Number of the cell holding each point (mm); -1 where a point lies outside."""
        r = np.hypot(x, y)
        i = np.searchsorted(np.asarray(self.r_edges), r, side="right") - 1
        j = np.floor((np.arctan2(y, x) + np.pi) / (2 * np.pi) * self.n_phi).astype(np.int64)
        inside = (i >= 0) & (i < len(self.r_edges) - 1)
        return np.where(inside, i * self.n_phi + np.minimum(j, self.n_phi - 1), -1)


Segmentation = Annotated[CartesianGrid | CylindricalGrid, Field(discriminator="kind")]


def _sides(number: NDArray[np.int64], *, around: bool = False) -> NDArray[np.int64]:
    """Neighbours (n, 4) of numbers on a grid: before and behind along i, then along j.

    ``around``: the last column lies beside the first.
    """
    padded = np.pad(number, 1, constant_values=-1)
    if around:
        padded[1:-1, 0], padded[1:-1, -1] = number[:, -1], number[:, 0]
    sides = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.stack([side.ravel() for side in sides], axis=1)
