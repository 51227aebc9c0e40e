"""The gate in front of the calorimeter, where models take particles over.

A thin sheet of vacuum is a sensitive detector: Geant4 tells it of every particle that crosses it,
before the calorimeter has seen the particle. What a model knows is noted and killed there; all else
flies on. So particles are taken over wherever they come from: the gun, or a pion's decay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caloforge.simulate.fast.takeover import Arrival
from caloforge.simulate.fast.team import Found, Taken, Team
from caloforge.simulate.geant4.volumes import VACUUM, Volumes

GATE = -0.5
"""z (mm) of the sheet; the front face is at 0, and particles start before the sheet."""

THICKNESS = 1e-2
"""mm"""


MARGIN = 50.0
"""mm by which the sheet is wider on every side, for particles that come at an angle."""


def place_gate(volumes: Volumes, world: Any, size: float) -> Any:
    """The sheet in front of a calorimeter that is ``size`` mm wide; returns its volume."""
    side = size + 2 * MARGIN
    sheet = volumes.box("gate", side, side, THICKNESS, VACUUM)
    volumes.place(sheet, world, (0.0, 0.0, GATE))
    return sheet


def make_gate(g4: Any, team: Team) -> Any:
    """The sensitive detector of the sheet."""

    class Gate(g4.G4VSensitiveDetector):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("gate")
            self.begin([])

        def begin(self, expected: Sequence[Found | None]) -> None:
            """New events; what is known of their first particles already."""
            self.expected = expected
            self.taken: list[Taken] = []
            self.energy: list[float] = []
            self._next_event()

        def _next_event(self) -> None:
            self._place, self._energy = 0, 0.0
            self.all_taken = False
            """Whether the particle that was shot is taken over, so nothing is left to track."""

        def end_event(self) -> None:
            """The next particle belongs to the next event."""
            self.energy.append(self._energy)
            self._next_event()

        def ProcessHits(self, step: Any, _: Any) -> bool:
            track = step.GetTrack()
            event, shot = len(self.energy), track.GetParentID() == 0
            found = self.expected[event] if shot else None
            found = found or self._sees(track, step.GetPreStepPoint())
            if found is None:
                return False
            self.taken.append(Taken(event, self._place, *found))
            self._place += 1
            self._energy += found[1].energy
            self.all_taken = shot
            track.SetTrackStatus(g4.fStopAndKill)
            return True

        def _sees(self, track: Any, point: Any) -> Found | None:
            direction, at = point.GetMomentumDirection(), point.GetPosition()
            if direction.z <= 0.0:
                return None  # comes back from the calorimeter
            to_front = -at.z / direction.z
            arrival = Arrival(
                track.GetDefinition().GetPDGEncoding(),
                point.GetKineticEnergy(),
                at.x + to_front * direction.x,
                at.y + to_front * direction.y,
                (direction.x, direction.y, direction.z),
            )
            return team.sees(arrival)

    return Gate()
