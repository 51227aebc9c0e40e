"""What is read from a file with hits in the laboratory's frame, in MeV and mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ShowerError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Hits:
    """Deposits of some events, in any order."""

    event: Whole
    """(hits,) number of the event, from 0."""
    position: Floats
    """(hits, 3) mm."""
    energy: Floats
    """(hits,) MeV."""
    endcap: NDArray[np.bool_]
    """(hits,) whether the collection is one of an endcap."""
    layer: Whole | None = None
    """(hits,) the cellID field that numbers the layers, where it is asked for."""
    late: float = 0.0
    """MeV left out because they came after ``time_max``."""

    @staticmethod
    def concatenate(parts: Sequence[Hits]) -> Hits:
        """The hits of several collections of the same events."""
        layers = [part.layer for part in parts if part.layer is not None]
        return Hits(
            np.concatenate([part.event for part in parts]),
            np.concatenate([part.position for part in parts]),
            np.concatenate([part.energy for part in parts]),
            np.concatenate([part.endcap for part in parts]),
            np.concatenate(layers) if layers else None,
            sum(part.late for part in parts),
        )


@dataclass(frozen=True)
class Particles:
    """The incident particle of every event."""

    vertex: Floats
    """(n, 3) mm."""
    momentum: Floats
    """(n, 3) MeV."""
    mass: Floats
    """(n,) MeV; rounding below 0 (as for photons) counts as 0."""
    pdg: NDArray[Any]
    """(n,) PDG codes."""

    def check(self, first: int) -> None:
        """Refuse particles that are not finite or do not fly; ``first`` is the first event.

        Raises:
            ShowerError: naming the event.
        """
        columns = np.column_stack([self.vertex, self.momentum, self.mass])
        bad = ~np.isfinite(columns).all(axis=1) | ~(np.abs(self.momentum).max(axis=1) > 0)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ShowerError(
                f"event {first + row}: the incident particle has momentum "
                f"{self.momentum[row].tolist()} MeV, vertex {self.vertex[row].tolist()} mm and "
                f"mass {self.mass[row]} MeV; choose another one or remove the event"
            )

    @property
    def direction(self) -> Floats:
        """Unit vectors (n, 3)."""
        return np.asarray(self.momentum / self._size[:, None])

    @property
    def kinetic_energy(self) -> Floats:
        """E - m (MeV), without the rounding of a difference."""
        mass = np.maximum(self.mass, 0.0)
        return np.asarray(self._size**2 / (np.hypot(self._size, mass) + mass))

    @property
    def _size(self) -> Floats:
        return np.asarray(np.linalg.norm(self.momentum, axis=1))


_ENDCAPS = ("endcap", "plug", "forward", "lumical", "beamcal")


def is_endcap(name: str) -> bool:
    """Whether a collection's name says that it lies across the beam, not around it."""
    return any(word in name.lower() for word in _ENDCAPS)
