"""The opening angle of the photons that incident neutral pions decay into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.showers import Incident
from caloforge.showers.incident import NO_ANGLE

PION, PHOTON = 111, 22


def with_opening_angles(incident: Incident) -> Incident:
    """The particles with a column ``opening_angle`` to fill in, if there are neutral pions."""
    if PION not in incident["pdg"]:
        return incident
    return Incident({**incident.columns, "opening_angle": np.full(len(incident), NO_ANGLE)})


def opening_angle(photons: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    """Angle (rad) between the most energetic photon and all else that a pion decays into.

    For the 98.8 % of decays into two photons it is the angle between them, for the others that to
    the electron and positron together.

    Args:
        photons: momenta (n, 3).
        rest: momenta (m, 3) of the other particles.

    Returns:
        The angle, or :data:`NO_ANGLE` when there are not two sides.
    """
    if len(photons) == 0 or len(photons) + len(rest) < 2:
        return NO_ANGLE
    first = int(np.argmax(np.linalg.norm(photons, axis=1)))
    one = photons[first]
    other = np.concatenate([np.delete(photons, first, axis=0), rest]).sum(axis=0)
    return float(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other))


def make_watch(g4: Any) -> Any:
    """A tracking action that notes what the incident particle decays into.

    It is called for every track, so that it is used for pions alone.
    """

    class Watch(g4.G4UserTrackingAction):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.forget()

        def forget(self) -> None:
            self.photons: list[list[float]] = []
            self.rest: list[list[float]] = []

        def PreUserTrackingAction(self, track: Any) -> None:
            if track.GetParentID() != 1:
                return
            momentum = track.GetMomentum()
            photon = track.GetDefinition().GetPDGEncoding() == PHOTON
            part = self.photons if photon else self.rest
            part.append([momentum.x, momentum.y, momentum.z])

        def angle(self) -> float:
            """Of the event that has just ended."""
            found = opening_angle(
                np.reshape(np.array(self.photons), (-1, 3)),
                np.reshape(np.array(self.rest), (-1, 3)),
            )
            self.forget()
            return found

    return Watch()
