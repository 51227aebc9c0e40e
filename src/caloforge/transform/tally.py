"""What had no place in the cells: counted, never silently dropped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Energy (MeV) that came in, the part of it outside every cell, and the showers concerned."""

    incoming: float = 0.0
    outside: float = 0.0
    showers: int = 0

    def add(self, incoming: float, outside: float, showers: int) -> None:
        """Count one more batch."""
        self.incoming += incoming
        self.outside += outside
        self.showers += showers

    def merge(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.add(other.incoming, other.outside, other.showers)

    def note(self, what: str) -> str | None:
        """One sentence on what ``what`` lost; None when nothing was."""
        if self.outside == 0.0:
            return None
        share = self.outside / self.incoming
        return (
            f"{what}: {self.outside:.6g} MeV ({100 * share:.3g} % of the visible energy, in "
            f"{self.showers} showers) lies outside the cells and is left out"
        )
