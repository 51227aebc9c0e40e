"""A planar calorimeter in Geant4: slabs across the beam, their cells made of replicas.

Only the slabs that are read out are cut into cells, so a particle meets no more boundaries than it
must, and the scorer in C++ finds its cell from copy numbers. Every slab is a volume of its own in
vacuum: with the absorber as the mother of the others, multiple scattering near its surface takes
other steps, and lcd-ecal sees 0.8 % less.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi
from typing import Any

from caloforge.geometry import (
    Calorimeter,
    CartesianGrid,
    CylindricalGrid,
    Slab,
    depth,
    slabs_of,
    width,
)
from caloforge.simulate.geant4.gate import place_gate
from caloforge.simulate.geant4.volumes import VACUUM, Scored, Volumes


class Planar:
    """Builds the volumes of a planar calorimeter.

    Args:
        g4: the module ``geant4_pybind``.
        calorimeter: with stacks.
        bare: leave the cells out, for timing.
        gate: whether models take particles over, see :mod:`.gate`.
    """

    def __init__(
        self, g4: Any, calorimeter: Calorimeter, bare: bool = False, gate: bool = False
    ) -> None:
        self.g4 = g4
        self.calorimeter = calorimeter
        self.bare = bare
        self.has_gate = gate
        self.gate: Any = None
        self.volumes = Volumes(g4, calorimeter.name)
        self.width = width(calorimeter)
        self.scored: dict[tuple[Any, ...], Scored] = {}
        self._slabs: dict[tuple[Any, ...], Any] = {}

    def build(self) -> Any:
        """Make every volume; returns the placed world."""
        thickness = depth(self.calorimeter)
        world, placed = self.volumes.world()
        size = self.width
        stack = self.volumes.box("calorimeter", size, size, thickness, VACUUM)
        self.volumes.place(stack, world, (0.0, 0.0, thickness / 2))
        if self.has_gate:
            self.gate = place_gate(self.volumes, world, size)
        for slab in slabs_of(self.calorimeter):
            z = slab.z + slab.thickness / 2 - thickness / 2
            self.volumes.place(self._slab(slab), stack, (0.0, 0.0, z), copy=slab.layer or 0)
        return placed

    def _slab(self, slab: Slab) -> Any:
        """The volume of a slab; equal slabs share one, cells included."""
        layer = None if slab.layer is None else self.calorimeter.layers[slab.layer]
        grid = None if layer is None else layer.segmentation
        key = (slab.material, slab.thickness, grid, slab.birks)
        if key not in self._slabs:
            size = self.width
            volume = self.volumes.box(slab.material, size, size, slab.thickness, slab.material)
            self._slabs[key] = volume
            if grid is not None and not self.bare:
                cut = self._cartesian if isinstance(grid, CartesianGrid) else self._cylindrical
                cells, depths = cut(slab, grid, volume)  # type: ignore[arg-type]
                self._score(cells, grid.shape, depths, slab)
        return self._slabs[key]

    def _score(
        self, cells: list[Any], shape: tuple[int, int], depths: tuple[int, int, int], slab: Slab
    ) -> None:
        key = (shape, depths, slab.birks, slab.material if slab.birks else "")
        group = self.scored.setdefault(key, Scored(shape, depths, slab.birks, slab.material))
        group.volumes.extend(cells)

    def _cartesian(
        self, slab: Slab, grid: CartesianGrid, volume: Any
    ) -> tuple[list[Any], tuple[int, int, int]]:
        """Cells along x, then along y; inside a box of their own unless they fill the slab."""
        x, y = grid.nx * grid.dx, grid.ny * grid.dy
        mother, layer_depth = volume, 2
        if (x, y) != (self.width, self.width) or grid.centre != (0.0, 0.0):
            mother = self.volumes.box("readout", x, y, slab.thickness, slab.material)
            self.volumes.place(mother, volume, (*grid.centre, 0.0))
            layer_depth = 3
        row = self.volumes.box("row", grid.dx, y, slab.thickness, slab.material)
        self.volumes.replicate(row, mother, self.g4.kXAxis, grid.nx, grid.dx)
        cell = self.volumes.box("cell", grid.dx, grid.dy, slab.thickness, slab.material)
        self.volumes.replicate(cell, row, self.g4.kYAxis, grid.ny, grid.dy)
        return [cell], (layer_depth, 1, 0)

    def _cylindrical(
        self, slab: Slab, grid: CylindricalGrid, volume: Any
    ) -> tuple[list[Any], tuple[int, int, int]]:
        """Rings, each cut into sectors."""
        cells = []
        for number, (low, high) in enumerate(pairwise(grid.r_edges)):
            solid = self.g4.G4Tubs("ring", low, high, slab.thickness / 2, 0.0, 2 * pi)
            ring = self.volumes.logical(solid, slab.material)
            self.volumes.place(ring, volume, copy=number)
            cells.append(self.volumes.sectors(ring, low, high, slab, grid.n_phi))
        return cells, (2, 1, 0)
