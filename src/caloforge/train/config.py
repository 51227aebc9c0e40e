"""The training section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt


class TrainingConfig(BaseModel):
    """How to train; models without gradient steps ignore all but the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 60
    batch_size: PositiveInt = 128
    seed: NonNegativeInt = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    max_steps: PositiveInt | None = None
    """Stop after this many steps, whatever the epochs say."""
    max_minutes: PositiveFloat | None = None
    """Finish (with a valid artifact) after this much time; such a run is not reproducible."""
    log_every: PositiveInt = 1
    checkpoint_every: PositiveInt = 50
    """Steps between checkpoints."""
