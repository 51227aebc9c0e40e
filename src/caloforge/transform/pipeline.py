"""Steps one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.transform.base import Step
from caloforge.transform.tally import Tally


@dataclass(frozen=True)
class Pipeline:
    """Steps in the order in which they are applied; no steps change nothing."""

    steps: tuple[Step, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def calorimeter(self, before: Calorimeter) -> Calorimeter:
        """The cells after all steps; finds what cannot work before any shower is read.

        Raises:
            GeometryError: a step cannot work on its calorimeter.
        """
        for step in self.steps:
            before = step.calorimeter(before)
        return before

    def tallies(self) -> list[Tally]:
        """A new tally for every step."""
        return [Tally() for _ in self.steps]

    def apply(self, showers: Showers, tally_by_step: Sequence[Tally]) -> Showers:
        """The showers after all steps, counted in one tally per step (see :meth:`tallies`).

        Raises:
            GeometryError, ShowerError: see :meth:`Step.apply`.
        """
        for step, tally in zip(self.steps, tally_by_step, strict=True):
            showers = step.apply(showers, tally)
        return showers

    def notes(self, tally_by_step: Sequence[Tally]) -> list[str]:
        """One sentence for every step that lost something."""
        pairs = zip(self.steps, tally_by_step, strict=True)
        return [note for step, tally in pairs if (note := step.note(tally)) is not None]

    def to_list(self) -> list[dict[str, Any]]:
        """Every step's :meth:`Step.to_dict`, for the provenance."""
        return [step.to_dict() for step in self.steps]
