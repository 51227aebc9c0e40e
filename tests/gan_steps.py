"""Stands in for the optimizer steps of a GAN and records what each of them saw."""

from __future__ import annotations

import torch

from caloforge.models import GradientModel


class Recorder:
    """Names of the optimizers in order, and the networks that had a gradient then."""

    def __init__(self, model: GradientModel) -> None:
        self.model = model
        self.names: list[str] = []
        self.with_gradient: list[set[str]] = []

    def __call__(self, optimizer: str, loss: torch.Tensor, parts: object) -> None:
        self.model.zero_grad()
        loss.backward()
        self.names.append(optimizer)
        self.with_gradient.append(
            {
                name.split(".")[0]
                for name, p in self.model.named_parameters()
                if p.grad is not None and bool(p.grad.abs().sum() > 0)
            }
        )
