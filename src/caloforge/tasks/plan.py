"""Cut a job into shards: by the cost of the showers alone, so workers make no difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """Showers ``start:stop`` of the job; ``number`` counts the shards from 0."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"showers {self.start} to {self.stop - 1}"


def plan_shards(cost: NDArray[np.float64], target: float, most: int = 1000) -> list[Shard]:
    """Consecutive showers, cut where their summed cost reaches ``target`` or they are ``most``.

    Args:
        cost: what every shower costs (any unit, for instance CPU seconds), shape (n,).
        target: cost of a shard, in the same unit.
        most: showers of a shard at most.

    Returns:
        Shards that hold every shower exactly once, in order; none for no showers.

    Raises:
        ConfigError: a cost that is negative or not finite, or no positive ``target`` or ``most``.
    """
    if not target > 0 or most < 1:
        raise ConfigError(f"shards of cost {target} and {most} showers; give positive numbers")
    costs = np.asarray(cost, dtype=np.float64)
    if costs.ndim != 1 or not np.all(np.isfinite(costs)) or np.any(costs < 0):
        raise ConfigError("the cost of a shower must be finite and not negative; check the costs")
    shards: list[Shard] = []
    start, total = 0, 0.0
    for shower, value in enumerate(costs.tolist()):
        total += value
        if total >= target or shower + 1 - start == most:
            shards.append(Shard(len(shards), start, shower + 1))
            start, total = shower + 1, 0.0
    if start < len(costs):
        shards.append(Shard(len(shards), start, len(costs)))
    return shards
