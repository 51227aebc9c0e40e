"""What Triforce's networks see: the windows of ECAL and HCAL, energy sums, measured angles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.preprocess import BlockImages, EnergyScaling

SCALARS = 4
SUM_SCALE = 0.01
ANGLE_SCALE = 10.0
FLAT = 1e-6
"""A variance in depth (mm^2) below this gives no axis."""

Shape = tuple[int, int, int]


class Inputs(NamedTuple):
    """B showers: cells in network units, sums and slopes.

    ``ecal`` (B, 1, x, y, depth), the central window; ``hcal`` likewise, or None; ``scalars``
    (B, 4): 10 x the measured phi and eta, 0.01 x the sums of ECAL and HCAL; ``visible`` (B,) sum
    of all cells; ``slope`` (B, 2) dx/dz and dy/dz of the shower's axis in the ECAL.
    """

    ecal: torch.Tensor
    hcal: torch.Tensor | None
    scalars: torch.Tensor
    visible: torch.Tensor
    slope: torch.Tensor


class ShowerInputs(nn.Module):
    """Cuts cells (B, n_cells) in MeV into what the networks see.

    The axis is the energy-weighted straight line through the cells of the ECAL. The published
    networks got the barrel's pseudorapidity and azimuth of the shower's barycentre; in a planar
    window the axis tells the same: eta = asinh(dx/dz), phi = atan(dy/dz).

    Args:
        calorimeter: one block of layers with the same cells (ECAL), or two (ECAL and HCAL).
        window: central cells of the ECAL along x and y; all of them when 0 or fewer.
        units: network units per GeV.

    Raises:
        GeometryError: more than two blocks, or no central window of this size.
    """

    def __init__(self, calorimeter: Calorimeter, window: int, units: float) -> None:
        super().__init__()
        self.images = BlockImages(calorimeter)
        blocks = self.images.blocks
        if len(blocks) > 2:
            raise GeometryError(
                f"'{calorimeter.name}' has {len(blocks)} blocks of layers with the same cells; "
                "Triforce's networks take an ECAL, or an ECAL and an HCAL behind it"
            )
        self.scaling = EnergyScaling(factor=units, threshold=calorimeter.cell_threshold)
        grid = calorimeter.layers[0].segmentation
        cut = window if isinstance(grid, CartesianGrid) else 0
        self.x, self.y = (_centre(calorimeter.name, n, cut) for n in grid.shape)
        depth = blocks[0].n_layers
        self.ecal_shape: Shape = (self.x.stop - self.x.start, self.y.stop - self.y.start, depth)
        self.hcal_shape: Shape | None = None
        if len(blocks) == 2:
            self.hcal_shape = (blocks[1].n_i, blocks[1].n_j, blocks[1].n_layers)
        layers = calorimeter.layers[:depth]
        middle = [layer.z + layer.thickness / 2 for layer in layers]
        self.place: torch.Tensor = nn.Buffer(_tensor(grid.centres()), persistent=False)
        """(2, cells of a layer): x and y of the ECAL's cells, mm."""
        self.z: torch.Tensor = nn.Buffer(_tensor(middle), persistent=False)

    @property
    def cells(self) -> int:
        """Number of cells in both windows."""
        shapes = [self.ecal_shape, *([self.hcal_shape] if self.hcal_shape else [])]
        return sum(int(np.prod(shape)) for shape in shapes)

    def forward(self, energy: torch.Tensor) -> Inputs:
        """(B, n_cells) MeV -> :class:`Inputs`, in float32 whatever the autocast."""
        with torch.autocast(energy.device.type, enabled=False):
            ecal, *behind = self.images(self.scaling.forward(energy.float()))
            slope = self._slope(ecal)
            sums = [image.sum(dim=(1, 2, 3, 4)) for image in (ecal, *behind)]
            hcal_sum = sums[1] if behind else torch.zeros_like(sums[0])
            scalars = torch.stack(
                [
                    ANGLE_SCALE * torch.atan(slope[:, 1]),
                    ANGLE_SCALE * torch.asinh(slope[:, 0]),
                    SUM_SCALE * sums[0],
                    SUM_SCALE * hcal_sum,
                ],
                dim=1,
            )
            window = ecal[:, :, self.x, self.y].contiguous()
            hcal = behind[0].contiguous() if behind else None
            return Inputs(window, hcal, scalars, sums[0] + hcal_sum, slope)

    def _slope(self, ecal: torch.Tensor) -> torch.Tensor:
        """(B, 2) slopes cov(x, z) / var(z) of the axis; 0 where the shower has no depth."""
        layered = ecal.flatten(1, 3)  # (B, cells of a layer, depth)
        energy = layered.sum(dim=1)
        total = energy.sum(dim=1, keepdim=True)
        total = torch.where(total > 0, total, torch.ones_like(total))
        across = torch.einsum("bcz,ac->baz", layered, self.place)
        dz = self.z - (energy * self.z).sum(dim=1, keepdim=True) / total
        variance = (energy * dz**2).sum(dim=1, keepdim=True) / total
        covariance = (across * dz[:, None]).sum(dim=2) / total
        return torch.where(variance > FLAT, covariance / variance.clamp(min=FLAT), 0.0)


def _tensor(values: object) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _centre(name: str, cells: int, window: int) -> slice:
    """The central ``window`` of ``cells``."""
    size = window if 0 < window < cells else cells
    if (cells - size) % 2:
        raise GeometryError(
            f"'{name}' has no central window of {size} in {cells} cells; set model.window to a "
            "size that differs by an even number of cells, or to 0 for all"
        )
    first = (cells - size) // 2
    return slice(first, first + size)
