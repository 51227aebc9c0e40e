"""What a report shows: two summaries and the figures computed from them."""

from __future__ import annotations

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
class Comparison:
    """Everything that the figures and the page of a report need."""

    reference: Summary
    generated: Summary
    training: Showers | None
    near_generated: Neighbours | None
    metrics: dict[str, Any]
    name: str = "generated"
    reference_name: str = "Reference"

    @cached_property
    def raster(self) -> Raster:
        """The pixels that pictures of these showers are made of."""
        return Raster(self.reference.calorimeter)

    @property
    def labels(self) -> tuple[str, str]:
        """Names of the two samples in figures, where matplotlib shows them as they are."""
        return plain_label(self.reference_name), plain_label(self.name)
