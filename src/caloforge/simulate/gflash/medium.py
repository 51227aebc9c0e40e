"""The effective medium of a sequence of slabs (hep-ex/0001020).

The shower does not see absorber and readout apart: it develops in one material whose X0, R_M, E_c
and Z are means by mass. What a sampling calorimeter adds is how often it samples (F_S), how much of
the ionisation of a minimum-ionising particle falls into the active slabs, and e/mip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from caloforge.geometry import Material
from caloforge.simulate.gflash.materials import SCATTERING_ENERGY, substance

E_OVER_MIP_SLOPE = 0.007
"""e/mip = 1 / (1 + 0.007 (Z_p - Z_a)), p passive, a active: hep-ex/0001020."""

RESOLUTION_PER_ROOT = 0.027
"""c = 0.027 sqrt(d / f): R. Wigmans, "Calorimetry", sampling fluctuations of e.m. showers; d is
the active thickness of a unit (mm), f the sampling fraction of a minimum-ionising particle."""


@dataclass(frozen=True)
class Medium:
    """One effective material, and how it is sampled.

    Lengths in mm, energies in MeV. In a medium that is not sampled (all active, or all passive)
    ``samplings_per_x0`` is infinite in the paper's sense: ``cell_x0`` = 1 / F_S is 0.
    """

    z: float
    x0: float
    moliere: float
    critical_energy: float
    cell_x0: float = 0.0
    """1 / F_S: radiation lengths per sampling unit."""
    e_over_mip: float = 1.0
    mip_fraction: float = 1.0
    """Share of a minimum-ionising particle's loss that active slabs report."""
    resolution: float = 0.0
    """Sampling fluctuation sigma / E = resolution / sqrt(E / GeV)."""

    @property
    def sampled(self) -> bool:
        """Whether only a part of the energy is seen."""
        return self.cell_x0 > 0


def mip_loss(slab: Material) -> float:
    """Energy (MeV) that a minimum-ionising particle leaves in a slab."""
    matter = substance(slab.material)
    return matter.mip * matter.density * slab.thickness / 10.0


def seen_loss(slab: Material) -> float:
    """The part of it (MeV) that an active slab reports, by Birks' law where that is given."""
    if not slab.active:
        return 0.0
    loss = mip_loss(slab)
    return loss / (1.0 + (slab.birks or 0.0) * loss / slab.thickness)


def radiation_lengths(slab: Material) -> float:
    """Thickness of a slab in radiation lengths."""
    return slab.thickness / substance(slab.material).x0_mm


def _mean_z(slabs: Sequence[Material]) -> float:
    masses = [substance(slab.material).density * slab.thickness for slab in slabs]
    weighted = (m * substance(s.material).z for m, s in zip(masses, slabs, strict=True))
    return sum(weighted) / sum(masses)


def effective_medium(slabs: Sequence[Material]) -> Medium:
    """The medium of one sampling unit: its slabs, front to back."""
    thickness = sum(slab.thickness for slab in slabs)
    depth = sum(radiation_lengths(slab) for slab in slabs)
    critical = (
        sum(radiation_lengths(s) * substance(s.material).critical_energy for s in slabs) / depth
    )
    x0 = thickness / depth
    active = [slab for slab in slabs if slab.active]
    passive = [slab for slab in slabs if not slab.active]
    fraction = sum(seen_loss(slab) for slab in slabs) / sum(mip_loss(slab) for slab in slabs)
    plain = Medium(
        z=_mean_z(slabs),
        x0=x0,
        moliere=x0 * SCATTERING_ENERGY / critical,
        critical_energy=critical,
        mip_fraction=fraction,
    )
    if not passive or not active:
        return plain
    active_thickness = sum(slab.thickness for slab in active)
    return replace(
        plain,
        cell_x0=depth,
        e_over_mip=1.0 / (1.0 + E_OVER_MIP_SLOPE * (_mean_z(passive) - _mean_z(active))),
        resolution=float(RESOLUTION_PER_ROOT * (active_thickness / fraction) ** 0.5),
    )
