"""The angle of a shower, measured from its image and differentiable."""

from __future__ import annotations

import math

import torch
from torch import nn

from caloforge.geometry import Calorimeter

EMPTY = 100.0
"""The angle of an image without energy, as published: far from every real one."""

LEAST = 1e-8
"""A depth plane with less than this (network units) is empty: its centre says nothing, and the
gradient of it would be infinite."""

NEAR = 1e-3
"""A plane whose centre lies nearer (mm) to the barycentre than this gives no slope."""


class MeasuredAngle(nn.Module):
    """theta (rad) to the second of the image's axes, pi/2 along the depth.

    With the barycentre (u, v, z)_ref of the image and the centre (u, v) of every depth plane:

        m = (v - v_ref) / sqrt((u - u_ref)^2 + (z - z_ref)^2), its sign turned where z < z_ref
        theta = sum_k w_k (pi/2 - atan m_k) / sum_k w_k,   w_k = k + 1/2

    over the planes k with energy. No gradient is NaN, whatever the image.

    Source: 3DGAN (variable angle), with lengths in mm in place of cell numbers, which cells and
    layers of unequal size would turn; validation measures the same way.
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        super().__init__()
        assert calorimeter.grid_shape is not None
        place = torch.from_numpy(calorimeter.cell_positions).float()
        place = place.reshape(*calorimeter.grid_shape, 3)
        self.u: torch.Tensor = nn.Buffer(place[0, 0, :, 1].clone(), persistent=False)
        self.v: torch.Tensor = nn.Buffer(place[0, :, 0, 0].clone(), persistent=False)
        self.z: torch.Tensor = nn.Buffer(place[:, 0, 0, 2].clone(), persistent=False)
        """Middles of the cells along our y, our x and the depth (mm)."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Energies (B, 1, u, v, depth) -> angles (B,)."""
        plane = image.sum(dim=(1, 2, 3))  # (B, depth)
        along_u = (image.sum(dim=(1, 3)) * self.u[:, None]).sum(1)
        along_v = (image.sum(dim=(1, 2)) * self.v[:, None]).sum(1)
        total = _safe(plane.sum(1, keepdim=True))
        hit = plane > LEAST
        each = torch.where(hit, plane, 1.0)
        across = along_u / each - along_u.sum(1, keepdim=True) / total
        rise = along_v / each - along_v.sum(1, keepdim=True) / total
        depth = self.z - (plane * self.z).sum(1, keepdim=True) / total
        run2 = across**2 + depth**2
        used = hit & (run2 > NEAR**2)
        run = torch.sqrt(torch.where(used, run2, 1.0))
        slope = torch.where(used, rise, 0.0) / torch.where(depth < 0, -run, run)
        weight = used * (torch.arange(len(self.z), device=image.device) + 0.5)
        theta = (weight * (math.pi / 2 - torch.atan(slope))).sum(1)
        known = weight.sum(1)
        return torch.where(known > 0, theta / known.clamp(min=0.5), EMPTY)


def _safe(total: torch.Tensor) -> torch.Tensor:
    """The total energy, or 1 where there is next to none."""
    return torch.where(total > LEAST, total, 1.0)
