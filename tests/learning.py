"""Watches a fresh model learn: whose parameters its optimizers own, and which ones move."""

from __future__ import annotations

import torch

from caloforge.models import Trainable, TrainingSample
from caloforge.showers import Showers


class Learning:
    """A model that has looked at a sample, in training mode, before its first step."""

    def __init__(self, model: Trainable, sample: Showers) -> None:
        model.prepare(TrainingSample.whole(sample))
        model.train()
        self.model = model
        self.optimizers = model.optimizers()
        self.before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def every_parameter_has_one_optimizer(self) -> bool:
        groups = [group for each in self.optimizers.values() for group in each.param_groups]
        owned = [id(p) for group in groups for p in group["params"]]
        return sorted(owned) == sorted(id(p) for p in self.model.parameters())

    def update(self, optimizer: str, loss: torch.Tensor, parts: object) -> None:
        """A plain optimizer step, for :meth:`Trainable.training_step`."""
        self.optimizers[optimizer].zero_grad()
        loss.backward()
        self.optimizers[optimizer].step()

    def every_parameter_moved(self) -> bool:
        now = dict(self.model.named_parameters())
        return all(not torch.equal(now[name], old) for name, old in self.before.items())
