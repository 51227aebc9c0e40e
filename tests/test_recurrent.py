"""The recurrent generator: each layer follows from those in front, never from those behind."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.artifact import save_artifact
from caloforge.export import export_onnx
from caloforge.geometry import load_detector
from caloforge.models import TrainingBatch, TrainingSample, build_model
from caloforge.models.recurrent import Recurrent
from caloforge.runtime import shower_noise
from caloforge.showers import Incident, Provenance, Showers
from helpers import random_showers, small_calorimeter

SMALL = {"memory": 8, "hidden": 16, "latents": 3, "flow_transforms": 1, "flow_hidden": [8]}


def built(showers: Showers, shake: float = 0.1, **config: object) -> Recurrent:
    torch.manual_seed(0)
    model = build_model("recurrent", showers.calorimeter, {**SMALL, **config})
    assert isinstance(model, Recurrent)
    model.prepare(TrainingSample.whole(showers))
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    return model


def batch_of(showers: Showers) -> TrainingBatch:
    condition = torch.from_numpy(showers.incident.energy.astype(np.float32))[:, None]
    return TrainingBatch(condition, torch.from_numpy(showers.dense()))


def generate(model: Recurrent, noise: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.full((len(noise), 1), 50e3), noise)


def changed_layers(model: Recurrent, column: int) -> list[bool]:
    """Which layers change in any of 30 showers when one number of their noise does."""
    noise = torch.from_numpy(shower_noise(3, 0, 30, model.latent.size, "uniform"))
    other = noise.clone()
    other[:, column] = 1.0 - other[:, column]
    before, after = (model.hurdle.table.rows(generate(model, n)) for n in (noise, other))
    return [bool((before[:, k] != after[:, k]).any()) for k in range(before.shape[1])]


def test_what_happens_in_a_layer_changes_those_behind_it_only() -> None:
    """The hits of layer 2, by the noise of its cells."""
    model = built(random_showers(12)).eval()
    first, last = 2 * 25, 3 * 25 - 1
    assert changed_layers(model, first + 12) == [False, False, True, True]
    assert changed_layers(model, last + 13) == [False, False, False, True]


def test_training_sees_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The density of a layer does not depend on the cells behind it."""
    showers = random_showers(6)
    model = built(showers).eval()
    batch = batch_of(showers)
    rows = model.hurdle.table.rows(batch.energy)
    known = model._known(rows.sum(-1), batch.condition)
    seen: list[torch.Tensor] = []
    original = model.layers.cells

    def keep(memory: torch.Tensor, told: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        seen.append(memory)
        return original(memory, told, latents)

    model.layers.cells = keep  # type: ignore[method-assign]
    for cells in (rows, rows * torch.tensor([1.0, 1.0, 3.0, 0.0])[:, None]):
        torch.manual_seed(4)
        monkeypatch.setattr(model, "_known", lambda *_: known)
        model.losses(cells, batch.condition)
    assert torch.equal(seen[0][:, :3], seen[1][:, :3])  # the memories in front of layers 0, 1, 2
    assert not torch.equal(seen[0][:, 3], seen[1][:, 3])


def test_sizes_of_the_networks() -> None:
    """By hand: 625 cells, 3 numbers known of a layer and 16 of its place, 7 numbers for a cell."""
    with torch.device("meta"):
        model = build_model("recurrent", load_detector("lcd-ecal-25"))
    told, memory, hidden, latents = 3 + 16, 96, 128, 12

    def dense(*sizes: int) -> int:
        return sum((a + 1) * b for a, b in pairwise(sizes))

    expected = 25 * 16 + dense(1250, hidden, hidden)
    expected += dense(memory + told, hidden, 2 * latents)
    expected += dense(memory + told + hidden, hidden, 2 * latents)
    expected += 3 * memory * (hidden + latents + told + memory + 2)
    expected += dense(memory + told + latents, hidden, hidden, 625 * 7)
    assert model.networks()["layers"] == expected


def test_empty_showers_have_finite_gradients() -> None:
    model = built(random_showers(6)).train()
    parts = model.losses(torch.zeros(3, 4, 25), torch.full((3, 1), 20e3))
    torch.stack(list(parts.values())).sum().backward()
    gradients = [p.grad for p in model.layers.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_layers_of_any_shape() -> None:
    """CaloGAN's three layers of 288, 144 and 72 cells: their energies come from the stage."""
    model = built(random_showers(16, load_detector("calogan-lar"), occupancy=0.1)).eval()
    noise = torch.from_numpy(shower_noise(3, 0, 20, model.latent.size, "uniform"))
    made = generate(model, noise)
    assert made.shape == (20, 504)
    assert made.isfinite().all()
    assert (made.split([288, 144, 72], dim=1)[2] > 0).any()


def test_learns_that_layers_belong_together() -> None:
    """Showers in the left or in the right half: hits of all layers are on the same side."""
    calorimeter = small_calorimeter(n=4, layers=3)
    rng = np.random.default_rng(1)
    left = rng.random(400) < 0.5
    cells = np.zeros((400, 3, 4, 4))
    cells[left, :, :2], cells[~left, :, 2:] = 5.0, 5.0
    cells *= rng.uniform(0.5, 1.5, cells.shape) * (rng.random(cells.shape) < 0.7)
    cells[:, :, 1:3] += 0.02
    incident = Incident({"energy": np.full(400, 5000.0)})
    showers = Showers.from_dense(
        calorimeter, incident, cells.reshape(400, -1), Provenance(step="test")
    )
    model = built(showers, shake=0.0, learning_rate=1e-2, steps=200).train()
    optimizers = model.optimizers()

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        optimizers[optimizer].zero_grad()
        loss.backward()
        optimizers[optimizer].step()

    whole = batch_of(showers)
    for step in range(200):
        rows = slice(step % 4 * 100, step % 4 * 100 + 100)
        model.training_step(TrainingBatch(whole.condition[rows], whole.energy[rows]), update)
    model.eval()
    noise = torch.from_numpy(shower_noise(3, 0, 200, model.latent.size, "uniform"))
    with torch.no_grad():
        made = model(torch.full((200, 1), 5000.0), noise).reshape(200, 3, 4, 4).double()
    side = made[:, :, :2].sum((2, 3)) / made.sum((2, 3))
    assert ((side < 0.1) | (side > 0.9)).double().mean() > 0.8
    together = (side > 0.5).all(1) | (side < 0.5).all(1)
    assert together.double().mean() > 0.85
    assert (side[:, 0] > 0.5).double().mean().item() == pytest.approx(0.5, abs=0.15)
    expected = cells.sum((1, 2, 3)).mean()
    assert made.sum((1, 2, 3)).mean().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("components", [1, 3])
def test_exports(tmp_path: Path, components: int) -> None:
    showers = random_showers(8, small_calorimeter(n=3, layers=2))
    model = built(showers, components=components).eval()
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert export_onnx(folder, tmp_path / "m.onnx").exists()
