"""The stacks of a calorimeter as a list of slabs, cut where a readout layer begins or ends.

What a simulation places, front to back: every slab lies in one readout layer, or in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from caloforge.errors import GeometryError
from caloforge.geometry.calorimeter import Calorimeter, Material
from caloforge.geometry.segmentation import CartesianGrid

_TOUCH = 1e-6  # mm: closer than this is the same place


@dataclass(frozen=True)
class Slab:
    """Material between ``z`` and ``z + thickness`` (mm); ``layer`` reads it out, or None."""

    material: str
    z: float
    thickness: float
    layer: int | None
    birks: float | None = None


def slabs_of(calorimeter: Calorimeter) -> list[Slab]:
    """Every slab of the calorimeter, front to back.

    Raises:
        GeometryError: no stacks, or a layer that reads nothing out.
    """
    if not calorimeter.stacks:
        raise GeometryError(
            f"{calorimeter.name}: no stacks of material, so nothing can be simulated in it; "
            "add 'stacks' to its YAML"
        )
    slabs: list[Slab] = []
    z = 0.0
    for stack in calorimeter.stacks:
        for _ in range(stack.repeat):
            for material in stack.slabs:
                slabs.extend(_pieces(calorimeter, material, z))
                z = round(z + material.thickness, 9)
    read = {slab.layer for slab in slabs}
    empty = [number for number in range(calorimeter.n_layers) if number not in read]
    if empty:
        raise GeometryError(
            f"{calorimeter.name}: layer {empty[0]} holds no active material; say 'active: true' "
            "in the stacks, or check the layers' thickness against them"
        )
    return slabs


def _pieces(calorimeter: Calorimeter, material: Material, z: float) -> list[Slab]:
    """One slab of the stack; an active one is cut at the borders of the readout layers."""
    name, end = material.material, round(z + material.thickness, 9)
    if not material.active:
        return [Slab(name, z, material.thickness, None)]
    borders = {z, end}
    for layer in calorimeter.layers:
        for border in (layer.z, layer.z + layer.thickness):
            if z + _TOUCH < border < end - _TOUCH:
                borders.add(round(border, 9))
    return [
        Slab(name, a, round(b - a, 9), _layer_at(calorimeter, (a + b) / 2), material.birks)
        for a, b in pairwise(sorted(borders))
    ]


def _layer_at(calorimeter: Calorimeter, z: float) -> int | None:
    for number, layer in enumerate(calorimeter.layers):
        if layer.z <= z < layer.z + layer.thickness:
            return number
    return None


def depth(calorimeter: Calorimeter) -> float:
    """Total thickness of the stacks (mm)."""
    return sum(stack.thickness for stack in calorimeter.stacks)


def _readout_width(calorimeter: Calorimeter) -> float:
    """Full transverse size of the cells (mm): twice the reach of the widest layer."""
    reach = 0.0
    for layer in calorimeter.layers:
        grid = layer.segmentation
        if isinstance(grid, CartesianGrid):
            across = (grid.nx * grid.dx, grid.ny * grid.dy)
            sides = zip(grid.centre, across, strict=True)
            reach = max(reach, *(abs(centre) + size / 2 for centre, size in sides))
        else:
            reach = max(reach, grid.r_edges[-1])
    return 2 * reach


def width(calorimeter: Calorimeter) -> float:
    """Full transverse size of the material (mm): as given, or that of the cells.

    Raises:
        GeometryError: the given width does not hold the cells.
    """
    cells = _readout_width(calorimeter)
    if calorimeter.width is None:
        return cells
    if calorimeter.width < cells - _TOUCH:
        raise GeometryError(
            f"{calorimeter.name}: width {calorimeter.width:g} mm is less than the {cells:g} mm of "
            "its cells; make it larger"
        )
    return calorimeter.width
