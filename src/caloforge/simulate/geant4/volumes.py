"""Geant4 volumes with Python owning what Geant4 only points to."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi
from typing import Any

from caloforge.errors import GeometryError
from caloforge.geometry import Slab

VACUUM = "G4_Galactic"
WORLD_HALF = 20_000.0
"""Half side (mm) of the cube of vacuum around the calorimeter."""


@dataclass(frozen=True)
class Scored:
    """Cells of equal shape whose deposits one detector sums, by (layer, i, j).

    ``depths`` say how many volumes up from the innermost the copy numbers of the layer, i and j
    are found.
    """

    shape: tuple[int, int]
    depths: tuple[int, int, int]
    birks: float | None
    material: str
    volumes: list[Any] = field(default_factory=list)


class Volumes:
    """Makes Geant4 volumes and keeps them alive."""

    def __init__(self, g4: Any, detector: str) -> None:
        self.g4 = g4
        self.detector = detector
        self._kept: list[Any] = []
        self._materials: dict[str, Any] = {}

    def material(self, name: str) -> Any:
        """A NIST material.

        Raises:
            GeometryError: Geant4 does not know it.
        """
        if name not in self._materials:
            found = self.g4.G4NistManager.Instance().FindOrBuildMaterial(name)
            if found is None:
                raise GeometryError(
                    f"{self.detector}: Geant4 knows no material '{name}'; use a NIST name such as "
                    "G4_W, G4_Si, G4_lAr, G4_STAINLESS-STEEL"
                )
            self._materials[name] = found
        return self._materials[name]

    def logical(self, solid: Any, material: str) -> Any:
        """A logical volume."""
        made = self.g4.G4LogicalVolume(solid, self.material(material), solid.GetName())
        self._kept += [solid, made]
        return made

    def box(self, name: str, x: float, y: float, z: float, material: str) -> Any:
        """A box of full sizes x, y, z (mm)."""
        return self.logical(self.g4.G4Box(name, x / 2, y / 2, z / 2), material)

    def place(
        self,
        volume: Any,
        mother: Any,
        position: tuple[float, float, float] = (0.0, 0.0, 0.0),
        copy: int = 0,
    ) -> Any:
        """Put ``volume`` at ``position`` (mm) in ``mother``, or nowhere: the world."""
        made = self.g4.G4PVPlacement(
            None,
            self.g4.G4ThreeVector(*position),
            volume,
            volume.GetName(),
            mother,
            False,
            copy,
            False,
        )
        self._kept.append(made)
        return made

    def replicate(
        self, volume: Any, mother: Any, axis: Any, n: int, width: float, offset: float = 0.0
    ) -> None:
        """Fill ``mother`` with ``n`` copies of ``volume`` along ``axis``."""
        name = volume.GetName()
        self._kept.append(self.g4.G4PVReplica(name, volume, mother, axis, n, width, offset))

    def sectors(self, ring: Any, low: float, high: float, slab: Slab, n_phi: int) -> Any:
        """Cut a ring into ``n_phi`` sectors from phi = -pi on; returns the volume of one."""
        step = 2 * pi / n_phi
        solid = self.g4.G4Tubs("cell", low, high, slab.thickness / 2, -step / 2, step)
        cell = self.logical(solid, slab.material)
        if n_phi == 1:  # Geant4 hangs in a single replica in phi
            self.place(cell, ring)
        else:
            self.replicate(cell, ring, self.g4.kPhi, n_phi, step, -pi)
        return cell

    def world(self) -> tuple[Any, Any]:
        """(logical, placed) world of vacuum."""
        side = 2 * WORLD_HALF
        logical = self.box("world", side, side, side, VACUUM)
        return logical, self.place(logical, None)
