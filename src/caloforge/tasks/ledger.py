"""What is known of the finished shards without their showers, and whether they fit together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.tasks.plan import Shard

MEASURED = "seconds"
"""The key of a shard's ``provenance.source`` that may differ between shards: CPU seconds."""


@dataclass(frozen=True)
class _Entry:
    showers: int
    empty: int
    seconds: float


class Ledger:
    """Accepts the shards of one run, in any order."""

    def __init__(self, calorimeter: Calorimeter, parts: Path) -> None:
        self._calorimeter = calorimeter
        self._parts = parts
        self._entries: dict[Shard, _Entry] = {}
        self._source: dict[str, Any] | None = None

    def __contains__(self, shard: Shard) -> bool:
        return shard in self._entries

    def accept(self, shard: Shard, showers: Showers) -> None:
        """Note a finished shard.

        Raises:
            SimulationError: wrong calorimeter, wrong number of showers, or another source than
                the shards before.
        """
        if showers.calorimeter.hash != self._calorimeter.hash:
            raise SimulationError(
                f"{shard}: made in the calorimeter '{showers.calorimeter.name}', not in "
                f"'{self._calorimeter.name}' (or another version of it); mend the job"
            )
        if len(showers) != len(shard):
            raise SimulationError(
                f"{shard}: the job returned {len(showers)} showers, not {len(shard)}; mend the job"
            )
        source = dict(showers.provenance.source)
        seconds = float(source.pop(MEASURED, 0.0))
        self._check_source(shard, source)
        empty = int(np.count_nonzero(showers.hits_per_shower == 0))
        self._entries[shard] = _Entry(len(showers), empty, seconds)

    def _check_source(self, shard: Shard, source: dict[str, Any]) -> None:
        first = source if self._source is None else self._source
        for key in [*first, *source]:
            before, now = (json.dumps(part.get(key), sort_keys=True) for part in (first, source))
            if before != now:
                raise SimulationError(
                    f"{shard}: '{key}' is {now}, other shards have {before}; use the same software "
                    f"everywhere, delete {self._parts} and start again"
                )
        self._source = first

    @property
    def showers(self) -> int:
        """Showers so far."""
        return sum(entry.showers for entry in self._entries.values())

    @property
    def empty(self) -> int:
        """Showers without any hit."""
        return sum(entry.empty for entry in self._entries.values())

    @property
    def seconds(self) -> float:
        """CPU seconds of all shards."""
        return sum(entry.seconds for entry in self._entries.values())

    @property
    def source(self) -> dict[str, Any]:
        """What the shards say of themselves, and ``seconds_per_shower`` (4 significant digits)."""
        each = float(f"{self.seconds / max(1, self.showers):.4g}")
        return {**(self._source or {}), "seconds_per_shower": each}
