"""Which showers make up which training batch: a pure function of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError


@dataclass(frozen=True)
class BatchPlan:
    """Every epoch visits the showers once, in a fresh random order, in whole batches.

    As a batch depends on nothing but the seed and its step, a resumed run sees the same batches
    as one that never stopped.

    Raises:
        ConfigError: a batch would be larger than the sample.
    """

    n_showers: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size > self.n_showers:
            raise ConfigError(
                f"training.batch_size {self.batch_size} exceeds the {self.n_showers} training "
                f"showers; use --set training.batch_size={self.n_showers} or give more data"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one epoch."""
        return self.n_showers // self.batch_size

    def rows(self, step: int) -> NDArray[np.int64]:
        """Shower numbers of the batch at ``step`` (counted from 0 over all epochs), sorted."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.n_showers)
        return np.sort(order[batch * self.batch_size : (batch + 1) * self.batch_size])
