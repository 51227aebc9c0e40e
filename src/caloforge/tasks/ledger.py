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
"""CPU seconds, in a shard's ``provenance.source``; it may differ between shards."""

ENGINE_SECONDS = "engine_seconds"
"""The same of a job that times itself: wall seconds in its engine."""

RATE = "seconds_per_shower"
ENGINE_RATE = "generation_ms"


@dataclass(frozen=True)
class _Entry:
    showers: int
    empty: int
    seconds: float
    engine_seconds: float | None


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
        in_engine = source.pop(ENGINE_SECONDS, None)
        self._check_source(shard, source)
        empty = int(np.count_nonzero(showers.hits_per_shower == 0))
        self._entries[shard] = _Entry(len(showers), empty, seconds, in_engine)

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
    def engine_seconds(self) -> float | None:
        """Seconds in the engine of all shards; None where the job does not time itself."""
        timed = [e.engine_seconds for e in self._entries.values() if e.engine_seconds is not None]
        return sum(timed) if timed else None

    @property
    def source(self) -> dict[str, Any]:
        """What the shards say of themselves, and how long a shower took (4 significant digits).

        ``generation_ms`` in the engine where the job timed itself, else ``seconds_per_shower``, CPU
        time.
        """
        timed = self.engine_seconds
        name, total = (RATE, self.seconds) if timed is None else (ENGINE_RATE, 1e3 * timed)
        each = float(f"{total / max(1, self.showers):.4g}")
        return {**(self._source or {}), name: each}
