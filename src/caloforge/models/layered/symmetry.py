"""Mirror images: the same shower seen in a mirror is as good a shower, where the cells allow it."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from caloforge.sampling.grid import LayerGrid

Floats = NDArray[np.float64]


class Mirrors(nn.Module):
    """The mirror images and quarter turns that map every layer's cells onto themselves.

    Particles that come at an angle ``theta`` in the x-z plane have only the images that keep this
    plane; those with ``phi`` have none.

    Args:
        grid: the cells.
        condition: the model's condition columns.
    """

    def __init__(self, grid: LayerGrid, condition: tuple[str, ...]) -> None:
        super().__init__()
        self.condition = condition
        same, *others = _candidates(condition)
        matrices, moves = [same], [np.arange(grid.number.size)]
        for matrix in others:
            moved = _moved(grid, matrix)
            if moved is not None:
                matrices.append(matrix)
                moves.append(moved)
        self.matrix: torch.Tensor = nn.Buffer(
            torch.from_numpy(np.stack(matrices)).float(), persistent=False
        )
        self.move: torch.Tensor = nn.Buffer(torch.from_numpy(np.stack(moves)), persistent=False)

    def __len__(self) -> int:
        return len(self.matrix)

    def places(
        self, shower: torch.Tensor, place: torch.Tensor, which: torch.Tensor
    ) -> torch.Tensor:
        """Where hits (n,) at ``place`` = layer * C + cell lie in image ``which`` (B,)."""
        return self.move[which[shower], place]

    def conditions(self, condition: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Conditions (B, n) of the images ``which`` (B,)."""
        changed = condition.clone()
        matrix = self.matrix[which]
        names = self.condition
        places = [names.index(name) for name in ("x", "y") if name in names]
        if len(places) == 2:
            changed[:, places] = (matrix * condition[:, None, places]).sum(-1)
        if "theta" in names:
            theta = condition[:, names.index("theta")]
            turned = torch.where(matrix[:, 0, 0] < 0, math.pi - theta, theta)
            changed[:, names.index("theta")] = turned
        return changed


def _candidates(condition: tuple[str, ...]) -> list[Floats]:
    """Signed permutations of x and y that the condition can follow; the identity first."""
    one = [np.diag([1.0, 1.0])]
    if "phi" in condition or ("x" in condition) != ("y" in condition):
        return one
    flips = [np.diag([float(sx), float(sy)]) for sx, sy in product((1, -1), repeat=2)]
    if "theta" in condition:
        return flips
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    return flips + [flip @ swap for flip in flips]


def _moved(grid: LayerGrid, matrix: Floats) -> NDArray[np.int64] | None:
    """For every place the place it has in the image, or None when the cells do not fit."""
    layers, cells = grid.number.shape
    goals = np.empty((layers, cells), dtype=np.int64)
    for layer in range(layers):
        real = np.flatnonzero(grid.number[layer] >= 0)
        here = np.column_stack([grid.x[layer, real], grid.y[layer, real]])
        names = {_name(point): place for point, place in zip(here, real, strict=True)}
        found = [names.get(_name(point), -1) for point in here @ matrix.T]
        if min(found) < 0 or len(set(found)) != len(found):
            return None
        goals[layer] = np.arange(cells)
        goals[layer, real] = found
    first = cells * np.arange(layers)
    return np.asarray((goals + first[:, None]).ravel(), dtype=np.int64)


def _name(point: Floats) -> tuple[int, int]:
    return round(1e4 * float(point[0])), round(1e4 * float(point[1]))
