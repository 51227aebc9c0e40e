"""A moving average of a model's weights, often better than the last weights of a noisy training.

B. Polyak, A. Juditsky, SIAM J. Control Optim. 30 (1992) 838; exponential, as usual for GANs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as pl
import torch
from torch import nn


class MovingAverage(pl.Callback):
    """Averages all numbers of a model's state: parameters, and running means with them.

    Args:
        model: where to begin.
        decay: what the average keeps of itself in a step; not more than (1 + n) / (10 + n) in step
            n, so that it forgets where the training began.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {name: value.clone() for name, value in model.state_dict().items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a checkpoint's state."""
        for name, value in self.state.items():
            value.copy_(state[name])

    def on_train_batch_end(self, _: pl.Trainer, module: pl.LightningModule, *__: Any) -> None:
        """After every step."""
        assert isinstance(module.model, nn.Module)
        assert isinstance(module.step, int)
        self.update(module.model, module.step)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after step ``step`` (the first is 0)."""
        share = 1.0 - min(self._decay, (1.0 + step) / (10.0 + step))
        for name, value in model.state_dict().items():
            mine = self.state[name].to(value.device)
            if value.is_floating_point():
                mine.lerp_(value, share)
            else:
                mine.copy_(value)
            self.state[name] = mine
