"""What a step took away: counted, never silently dropped."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from caloforge.showers import Showers


@dataclass
class Tally:
    """What came in and what did not go on.

    Attributes:
        incoming: energy (MeV) that came in.
        outside: the part of it outside every cell.
        showers: how many showers had energy outside.
        seen: showers that came in.
        dropped: showers that were left out.
        removed: energy (MeV) that was taken away on purpose, as below a threshold.
    """

    incoming: float = 0.0
    outside: float = 0.0
    showers: int = 0
    seen: int = 0
    dropped: int = 0
    removed: float = 0.0

    def add(
        self,
        incoming: float = 0.0,
        outside: float = 0.0,
        showers: int = 0,
        *,
        seen: int = 0,
        dropped: int = 0,
        removed: float = 0.0,
    ) -> None:
        """Count one more batch."""
        self.incoming += incoming
        self.outside += outside
        self.showers += showers
        self.seen += seen
        self.dropped += dropped
        self.removed += removed

    def enter(self, showers: Showers) -> None:
        """Count a batch that comes in."""
        self.add(float(showers.energy.sum(dtype=np.float64)), seen=len(showers))

    def merge(self, other: Tally) -> None:
        """Count what another one has counted."""
        incoming, outside, showers, seen, dropped, removed = astuple(other)
        self.add(incoming, outside, showers, seen=seen, dropped=dropped, removed=removed)

    def note(self, what: str) -> str | None:
        """One sentence on what ``what`` lost; None when nothing was."""
        if self.outside == 0.0:
            return None
        return (
            f"{what}: {self.outside:.6g} MeV ({self.percent(self.outside)} of the visible energy, "
            f"in {self.showers} showers) lies outside the cells and is left out"
        )

    def percent(self, energy: float) -> str:
        """``energy`` (MeV) as a share of what came in, such as ``1.2 %``."""
        return f"{100 * energy / self.incoming:.3g} %"
