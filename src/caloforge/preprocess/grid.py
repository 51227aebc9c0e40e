"""Cells of a regular calorimeter as 3-D images with axes x, y, depth (as LCD and 3DGAN)."""

from __future__ import annotations

import torch

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter


class GridImage:
    """Reorders (B, n_cells), layer by layer, to images (B, 1, x, y, depth) and back.

    Raises:
        GeometryError: the layers of the calorimeter have different cells.
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        if calorimeter.grid_shape is None:
            raise GeometryError(
                f"'{calorimeter.name}' has different cells per layer: no 3-D image; "
                "choose a model for irregular calorimeters"
            )
        self.depth, self.n_x, self.n_y = calorimeter.grid_shape

    @property
    def shape(self) -> tuple[int, int, int]:
        """(x, y, depth)."""
        return self.n_x, self.n_y, self.depth

    def to_image(self, cells: torch.Tensor) -> torch.Tensor:
        """(B, n_cells) -> (B, 1, x, y, depth)."""
        layered = cells.reshape(-1, 1, self.depth, self.n_x, self.n_y)
        return layered.permute(0, 1, 3, 4, 2).contiguous()

    def to_cells(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, x, y, depth) -> (B, n_cells)."""
        return image.permute(0, 1, 4, 2, 3).reshape(image.shape[0], -1)
