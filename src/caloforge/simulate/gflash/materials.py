"""What an electromagnetic shower sees of a material.

Density, <Z/A>, radiation length and minimum ionisation are those of the Particle Data Group's
"Atomic and nuclear properties of materials" (densities of compounds: Geant4's NIST names). A
compound's Z is the mean over its elements by mass, as Geant4's GFlash takes it.
"""

from __future__ import annotations

from typing import NamedTuple

from caloforge.errors import GeometryError

SCATTERING_ENERGY = 21.2
"""E_s (MeV) of the Moliere radius R_M = X0 E_s / E_c."""


class Substance(NamedTuple):
    """One material."""

    name: str
    z: float
    """Atomic number, by mass."""
    z_over_a: float
    """<Z/A> (mol/g)."""
    density: float
    """g/cm3."""
    x0: float
    """Radiation length (g/cm2)."""
    mip: float
    """Minimum ionisation (MeV cm2/g)."""

    @property
    def critical_energy(self) -> float:
        """E_c (MeV) = 2.66 (X0 Z/A)^1.1: hep-ex/0001020."""
        return float(2.66 * (self.x0 * self.z_over_a) ** 1.1)

    @property
    def x0_mm(self) -> float:
        """Radiation length (mm)."""
        return 10.0 * self.x0 / self.density

    @property
    def moliere_mm(self) -> float:
        """Moliere radius (mm)."""
        return self.x0_mm * SCATTERING_ENERGY / self.critical_energy


_TABLE = (
    Substance("G4_Galactic", 1.0, 0.99212, 1.0e-25, 63.04, 4.103),
    Substance("G4_AIR", 7.37, 0.49919, 1.20479e-3, 36.62, 1.815),
    Substance("G4_Be", 4.0, 0.44384, 1.848, 65.19, 1.595),
    Substance("G4_GRAPHITE", 6.0, 0.49955, 2.21, 42.70, 1.742),
    Substance("G4_WATER", 7.22, 0.55509, 1.0, 36.08, 1.992),
    Substance("G4_POLYSTYRENE", 5.61, 0.53768, 1.06, 43.79, 1.936),
    Substance("G4_PLASTIC_SC_VINYLTOLUENE", 5.57, 0.54141, 1.032, 43.90, 1.956),
    Substance("G4_Al", 13.0, 0.48181, 2.699, 24.01, 1.615),
    Substance("G4_Si", 14.0, 0.49848, 2.33, 21.82, 1.664),
    Substance("G4_lAr", 18.0, 0.45059, 1.396, 19.55, 1.508),
    Substance("G4_Ti", 22.0, 0.45961, 4.54, 16.16, 1.477),
    Substance("G4_STAINLESS-STEEL", 25.8, 0.46555, 8.0, 13.89, 1.453),
    Substance("G4_Fe", 26.0, 0.46557, 7.874, 13.84, 1.451),
    Substance("G4_Cu", 29.0, 0.45636, 8.96, 12.86, 1.403),
    Substance("G4_lKr", 36.0, 0.42960, 2.418, 11.37, 1.357),
    Substance("G4_CESIUM_IODIDE", 54.0, 0.41569, 4.51, 8.39, 1.243),
    Substance("G4_PbWO4", 68.4, 0.41315, 8.28, 7.39, 1.229),
    Substance("G4_BGO", 62.5, 0.42065, 7.13, 7.97, 1.251),
    Substance("G4_GLASS_LEAD", 65.4, 0.42101, 6.22, 7.87, 1.255),
    Substance("G4_W", 74.0, 0.40252, 19.3, 6.76, 1.145),
    Substance("G4_Pb", 82.0, 0.39575, 11.35, 6.37, 1.122),
    Substance("G4_U", 92.0, 0.38651, 18.95, 6.00, 1.081),
)

SUBSTANCES: dict[str, Substance] = {substance.name: substance for substance in _TABLE}
"""The known materials, by NIST/Geant4 name."""


def substance(name: str) -> Substance:
    """The material of that name.

    Raises:
        GeometryError: it is not in the table.
    """
    try:
        return SUBSTANCES[name]
    except KeyError:
        raise GeometryError(
            f"gflash does not know the material '{name}'; use one of {', '.join(SUBSTANCES)}, "
            "or another --engine"
        ) from None
