"""The training section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt


class TrainingConfig(BaseModel):
    """How to train; models without gradient steps ignore all but the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 60
    batch_size: PositiveInt = 128
    """Showers of a step, over all processes."""
    seed: NonNegativeInt = 1
    precision: Literal["32-true", "bf16-mixed", "auto"] = "32-true"
    """``auto``: bf16-mixed where the GPU or the processor has instructions for it, else 32-true."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt | None = None
    """Processes on this machine, one for each GPU; under torchrun or srun theirs when absent."""
    accumulate: PositiveInt = 1
    """Work through a process's rows of a batch in so many parts, to save memory. Then batch
    normalisation sees a part at a time; all else is as without."""
    channels_last: bool = False
    """Keep convolution weights channels-last; 3dgan always does."""
    compile: bool = False
    """Compile the networks (torch.compile): slow to start, then faster."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """The artifact gets a moving average of the weights that keeps this much of itself per step."""
    deterministic: bool = False
    """Only algorithms that give the same bits every time, on GPUs, too; slower there."""
    max_steps: PositiveInt | None = None
    """Stop after this many steps, whatever the epochs say."""
    max_minutes: PositiveFloat | None = None
    """Finish (with a valid artifact) after this much time; such a run is not reproducible."""
    log_every: PositiveInt = 1
    checkpoint_every: PositiveInt = 50
    """Steps between checkpoints."""
