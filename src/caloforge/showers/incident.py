"""The incident particles: one row per shower, absent columns allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import ShowerError

COLUMNS: dict[str, str] = {
    "energy": "incident energy, MeV (always there)",
    "pdg": "PDG particle code",
    "theta": "angle to the x axis in the x-z plane, rad; pi/2 is normal incidence",
    "phi": "angle around the z axis, rad",
    "x": "a point on the particle's line, mm",
    "y": "a point on the particle's line, mm",
    "z": "a point on the particle's line, mm; 0 is the front face",
    "opening_angle": "angle between the two photons of a pi0, rad; negative for other particles",
    "fast_energy": "energy of the particles that models took over in the simulation, MeV",
    "conversion": "number of photons that converted before the calorimeter; 0: none",
}
"""The known columns and their meaning."""

ANGLE = "opening_angle"
NO_ANGLE = -1.0
"""``opening_angle`` of other particles, and of pions that did not decay."""

Column = NDArray[Any]


class Incident:
    """A table of incident particles: columns of equal length n, see :data:`COLUMNS`.

    Raises:
        ShowerError: no energy column, an unknown column, unequal lengths, or an energy that is
            not finite and positive.
    """

    def __init__(self, columns: Mapping[str, ArrayLike]) -> None:
        if "energy" not in columns:
            raise ShowerError("incident table: no 'energy' column; every shower needs its energy")
        self._columns: dict[str, Column] = {}
        for name, values in columns.items():
            if name not in COLUMNS:
                raise ShowerError(
                    f"incident table: unknown column '{name}'; known are {', '.join(COLUMNS)}"
                )
            self._columns[name] = np.ascontiguousarray(values, dtype=np.float64)
        n = self._columns["energy"].shape
        for name, column in self._columns.items():
            if column.ndim != 1 or column.shape != n:
                raise ShowerError(
                    f"incident table: column '{name}' has shape {column.shape}, energy has {n}; "
                    "give one value per shower"
                )
            if not np.all(np.isfinite(column)):
                bad = int(np.flatnonzero(~np.isfinite(column))[0])
                raise ShowerError(
                    f"incident table: column '{name}' is NaN or infinite at shower {bad}; remove it"
                )
        if "pdg" in self._columns:
            self._columns["pdg"] = _particle_codes(self._columns["pdg"])
        if np.any(self.energy <= 0):
            bad = int(np.flatnonzero(self.energy <= 0)[0])
            raise ShowerError(
                f"incident table: energy {self.energy[bad]} MeV at shower {bad} is not positive; "
                "remove that shower"
            )

    @property
    def energy(self) -> NDArray[np.float64]:
        """Incident energies (MeV), shape (n,)."""
        return self._columns["energy"]

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that are there, by name."""
        return dict(self._columns)

    def __len__(self) -> int:
        return len(self.energy)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> Column:
        try:
            return self._columns[name]
        except KeyError:
            raise ShowerError(
                f"incident table: no column '{name}', only {', '.join(self)}; "
                "use showers that have it"
            ) from None

    def digest(self) -> str:
        """sha256 of names and values: equal for equal tables."""
        digest = hashlib.sha256()
        for name in sorted(self._columns):
            digest.update(name.encode() + self._columns[name].tobytes())
        return digest.hexdigest()

    def take(self, rows: slice | NDArray[Any]) -> Incident:
        """The chosen rows."""
        return Incident({name: column[rows] for name, column in self._columns.items()})

    @staticmethod
    def concatenate(parts: Sequence[Incident]) -> Incident:
        """One table from many; only the columns that all of them have.

        And the opening angle where some have it: it is :data:`NO_ANGLE` for the particles of tables
        without neutral pions.
        """
        if any(ANGLE in part for part in parts):
            none = [np.full(len(part), NO_ANGLE) for part in parts]
            parts = [
                Incident({**p.columns, ANGLE: p.columns.get(ANGLE, fill)})
                for p, fill in zip(parts, none, strict=True)
            ]
        common = [name for name in parts[0] if all(name in part for part in parts)]
        return Incident({name: np.concatenate([part[name] for part in parts]) for name in common})


def _particle_codes(values: Column) -> Column:
    if np.any(np.abs(values) > np.iinfo(np.int32).max) or np.any(values != np.rint(values)):
        raise ShowerError("incident table: column 'pdg' must hold PDG codes, whole 32-bit numbers")
    return values.astype(np.int32)
