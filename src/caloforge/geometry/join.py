"""One calorimeter behind another: an ECAL and the HCAL that catches what leaves it."""

from __future__ import annotations

from caloforge.errors import GeometryError
from caloforge.geometry.calorimeter import Calorimeter
from caloforge.geometry.slabs import width

_TOUCH = 1e-6  # mm


def behind(front: Calorimeter, back: Calorimeter) -> Calorimeter:
    """The two as one calorimeter, ``back`` starting where the material of ``front`` ends.

    Cells of ``front`` keep their numbers. The smaller of the two thresholds is kept.

    Raises:
        GeometryError: one of them has no stacks, is concentric, or reads out beyond its stacks.
    """
    for part in (front, back):
        if not part.stacks:
            raise GeometryError(f"{part.name}: no stacks of material; nothing can stand behind it")
        if part.inner_radius is not None:
            raise GeometryError(f"{part.name}: concentric; only planar calorimeters can be joined")
    depth = sum(stack.thickness for stack in front.stacks)
    last = front.layers[-1].z + front.layers[-1].thickness
    if last > depth + _TOUCH or back.layers[0].z < -_TOUCH:
        part, which = (front, "last") if last > depth + _TOUCH else (back, "first")
        raise GeometryError(
            f"{part.name}: its {which} layer reaches beyond its stacks and would overlap what it "
            "is joined with; change the layers' z or thickness"
        )
    shifted = tuple(
        layer.model_copy(update={"z": round(layer.z + depth, 9)}) for layer in back.layers
    )
    given = front.width is not None or back.width is not None
    return Calorimeter(
        name=f"{front.name}+{back.name}",
        description=f"{back.name} behind {front.name}",
        cell_threshold=min(front.cell_threshold, back.cell_threshold),
        width=max(width(front), width(back)) if given else None,
        stacks=front.stacks + back.stacks,
        layers=front.layers + shifted,
    )
