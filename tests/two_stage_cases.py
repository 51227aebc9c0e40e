"""Small two-stage models, and showers whose energies and profile are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.twostage import TwoStage
from caloforge.showers import Incident, Provenance, Showers
from helpers import small_calorimeter

FLOW = {"energy_blocks": 4, "energy_hidden": [16], "energy_bins": 6}

SMALL: dict[str, dict[str, Any]] = {
    "coupling-flow": {**FLOW, "blocks": 4, "hidden": [32], "bins": 6, "bound": 8.0},
    "flow-matching": {
        **{"width": 64, "energy_width": 64, "energy_blocks": 2},
        **{"gates": True, "steps": 8, "energy_solver_steps": 8},
    },
    "diffusion": {
        **{**FLOW, "width": 64, "gates": True, "shape_steps": 400, "shape_rate": 3e-3},
        **{"steps": 8, "sigma_max": 10.0},
    },
}
"""Kinds and configurations that learn the known showers in a moment."""


def known_showers(n: int, seed: int = 0) -> Showers:
    """10-100 GeV, 5 % +- 10 % of it visible, 10, 40, 30, 20 % of that in the layers, +- 5 %.

    In a layer the middle cell has half, every other one with a chance of one half a random part.
    """
    calorimeter = small_calorimeter()
    rng = np.random.default_rng(seed)
    incident = rng.uniform(10e3, 100e3, n)
    visible = 0.05 * incident * (1.0 + 0.1 * rng.standard_normal(n))
    profile = np.array([0.1, 0.4, 0.3, 0.2]) * (1.0 + 0.05 * rng.standard_normal((n, 4)))
    parts = rng.exponential(1.0, (n, 4, 25)) * (rng.random((n, 4, 25)) < 0.5)
    parts[:, :, 12] = parts.sum(-1) - parts[:, :, 12] + 1e-3
    parts /= parts.sum(-1, keepdims=True)
    energy = visible[:, None, None] * (profile / profile.sum(1, keepdims=True))[..., None] * parts
    columns = Incident({"energy": incident, "pdg": np.full(n, 11)})
    provenance = Provenance(step="test", geometry=calorimeter.hash, seed=seed)
    return Showers.from_dense(calorimeter, columns, energy.reshape(n, -1), provenance)


def fresh(kind: str, showers: Showers, **config: Any) -> TwoStage:
    """A small model that has looked at the sample."""
    torch.manual_seed(1)
    model = build_model(kind, showers.calorimeter, {**SMALL[kind], **config})
    assert isinstance(model, TwoStage)
    model.prepare(TrainingSample.whole(showers))
    return model.train()


def batch_of(showers: Showers) -> TrainingBatch:
    """All showers as a batch, energies as the condition."""
    condition = torch.from_numpy(showers.incident.energy.astype(np.float32))[:, None]
    return TrainingBatch(condition, torch.from_numpy(showers.dense()))


def learn(model: TwoStage, batch: TrainingBatch, steps: int) -> list[dict[str, float]]:
    """Train on the same batch; the losses of every step."""
    optimizers = model.optimizers()

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        optimizers[optimizer].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizers[optimizer].step()

    found = []
    for step in range(steps):
        torch.manual_seed(step)
        losses = model.training_step(batch, update)
        found.append({name: float(value) for name, value in losses.items()})
    return found


def zero(network: torch.nn.Module) -> None:
    """Set every parameter to zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
