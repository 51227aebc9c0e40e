"""What the tests of the GANs share: batches, counts, and a stand-in for optimizer steps."""

from __future__ import annotations

import numpy as np
import torch

from caloforge.models import ShowerModel, TrainingBatch, TrainingSample, build_model
from caloforge.models.threedgan.adversarial import Adversarial
from caloforge.showers import Showers


class Recorder:
    """Stands in for the optimizer steps and records what each of them saw."""

    def __init__(self, model: ShowerModel) -> None:
        self.model = model
        self.names: list[str] = []
        self.with_gradient: list[set[str]] = []

    def __call__(self, optimizer: str, loss: torch.Tensor, parts: object) -> None:
        self.model.zero_grad()
        loss.backward()
        self.names.append(optimizer)
        self.with_gradient.append(
            {
                key.split(".")[0]
                for key, p in self.model.named_parameters()
                if p.grad is not None and bool(p.grad.abs().sum() > 0)
            }
        )


def prepared(kind: str, sample: Showers, **config: object) -> Adversarial:
    """A fresh model that has looked at the sample, in training mode."""
    torch.manual_seed(0)
    model = build_model(kind, sample.calorimeter, config)
    assert isinstance(model, Adversarial)
    model.prepare(TrainingSample.whole(sample))
    model.train()
    return model


def batch_of(model: ShowerModel, sample: Showers, n: int = 4) -> TrainingBatch:
    """The first ``n`` showers."""
    columns = [sample.incident[name][:n] for name in model.condition_columns]
    condition = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    return TrainingBatch(condition, torch.from_numpy(sample[:n].dense()))


def count(module: torch.nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def percentage(target: np.ndarray, found: np.ndarray) -> float:
    """Mean absolute percentage error."""
    return float(100 * np.mean(np.abs(target - found) / np.abs(target)))


def cross_entropy(logit: np.ndarray, label: float) -> float:
    """Mean binary cross entropy of a sigmoid."""
    p = 1 / (1 + np.exp(-logit.astype(np.float64)))
    return float(np.mean(-label * np.log(p) - (1 - label) * np.log(1 - p)))
