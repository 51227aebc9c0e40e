"""The models of one simulation: who takes which particle, and the deposits that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, width
from caloforge.runtime.generate import showers_of
from caloforge.runtime.noise import event_noise
from caloforge.showers import Incident
from caloforge.simulate.fast.choice import FastChoice
from caloforge.simulate.fast.takeover import Arrival, Seen, Takeover

AT_ONCE = 128
"""Particles in one call of an engine; bounds the memory."""


Found = tuple[int, Seen]
"""The model that takes a particle over, and how it sees the particle."""


class Taken(NamedTuple):
    """A particle that a model has taken over: its event, its place there, the model's number."""

    event: int
    place: int
    model: int
    seen: Seen


class Deposits(NamedTuple):
    """Energies (n,) MeV in cells (n,) of the detector, of events (n,)."""

    event: NDArray[np.int64]
    cell: NDArray[np.int64]
    energy: NDArray[np.float64]


class Team:
    """Takes particles over and makes their showers.

    Args:
        choices: the models; the first that knows a particle takes it.
        detector: what is simulated.

    Raises:
        ConfigError, GeometryError, ModelError: see :class:`Takeover`.
    """

    def __init__(self, choices: Sequence[FastChoice], detector: Calorimeter) -> None:
        self.detector = detector
        self.members = [Takeover(choice, detector) for choice in choices]
        self._reach = width(detector) / 2 if detector.stacks else np.inf

    @property
    def inputs(self) -> dict[str, str]:
        """Names and digests of the models; other models of a name are told apart by a number."""
        digests: dict[str, str] = {}
        for number, member in enumerate(self.members):
            for name, digest in member.engine.inputs.items():
                taken = digests.get(name, digest) != digest
                digests[f"{name} ({number})" if taken else name] = digest
        return digests

    def warm_up(self) -> None:
        """Let the engines compile, on particles in the middle of what they know."""
        some = [
            Taken(0, place, number, member.usual())
            for number, member in enumerate(self.members)
            for place in range(2)
        ]
        self.deposits(some, 0)

    def sees(self, arrival: Arrival) -> Found | None:
        """Who takes the particle over, if anyone does; nobody one that misses the front face."""
        if max(abs(arrival.x), abs(arrival.y)) > self._reach:
            return None
        for number, member in enumerate(self.members):
            seen = member.sees(arrival)
            if seen is not None:
                return number, seen
        return None

    def deposits(self, taken: Sequence[Taken], seed: int) -> Deposits:
        """What the particles leave in the detector.

        A particle has random numbers of its own, by the number of its event and its place in it.

        Raises:
            ModelError: a model made something that is not a shower.
        """
        parts = [_EMPTY]
        for number, member in enumerate(self.members):
            own = [one for one in taken if one.model == number]
            for start in range(0, len(own), AT_ONCE):
                parts.append(_made(member, own[start : start + AT_ONCE], seed))
        return Deposits(*(np.concatenate(column) for column in zip(*parts, strict=True)))


_EMPTY = Deposits(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _made(member: Takeover, taken: Sequence[Taken], seed: int) -> Deposits:
    """The deposits of some particles of one model."""
    event, place = (np.array(column, np.int64) for column in list(zip(*taken, strict=True))[:2])
    seen = [one.seen for one in taken]
    latent = member.engine.description["latent"]
    noise = event_noise(seed, event, place, latent["size"], latent["distribution"])
    columns = {name: [getattr(one, name) for one in seen] for name in member.condition}
    showers = showers_of(member.engine, Incident(columns), noise, number=int(event[0]))
    cell = member.overlay.cells(showers, np.array([one.moved for one in seen], np.int64))
    inside = cell >= 0
    owner, energy = np.repeat(event, showers.hits_per_shower), showers.energy
    return Deposits(owner[inside], cell[inside], energy[inside].astype(np.float64))
