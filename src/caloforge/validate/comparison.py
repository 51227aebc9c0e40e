"""What a report shows: the reference, the samples judged against it, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from caloforge.showers import Showers
from caloforge.validate.memorisation import Neighbours
from caloforge.validate.raster import Raster
from caloforge.validate.summary import Summary


def plain_label(text: str) -> str:
    """``text`` for matplotlib: no formulas between dollars, no bytes that are not text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("$", r"\$")


@dataclass(frozen=True)
class Judged:
    """One generated sample: its figures, and the nearest training shower of some of its showers."""

    name: str
    summary: Summary
    metrics: dict[str, Any]
    near: Neighbours | None = None

    @property
    def label(self) -> str:
        """Its name in figures, where matplotlib shows it as it is."""
        return plain_label(self.name)


@dataclass(frozen=True)
class Comparison:
    """Everything that the figures and the page of a report need."""

    reference: Summary
    judged: Sequence[Judged]
    training: Showers | None = None
    reference_name: str = "Reference"

    @cached_property
    def raster(self) -> Raster:
        """The pixels that pictures of these showers are made of."""
        return Raster(self.reference.calorimeter)

    @property
    def summaries(self) -> list[Summary]:
        """The reference, then the generated samples."""
        return [self.reference, *(sample.summary for sample in self.judged)]

    @property
    def labels(self) -> list[str]:
        """Their names in figures."""
        return [plain_label(self.reference_name), *(sample.label for sample in self.judged)]
