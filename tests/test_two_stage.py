"""Two-stage models: published sizes, learning, resuming, empty showers, export."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.api import train
from caloforge.artifact import save_artifact
from caloforge.export import export_onnx
from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.models import TrainingBatch
from caloforge.models.flows.spline_couplings import SplineCouplings
from caloforge.models.registry import published_networks
from caloforge.models.schedule import one_cycle
from caloforge.models.twostage.resnet import ResNet
from caloforge.runtime import shower_noise
from caloforge.showers import Provenance, Showers
from caloforge.store import write_showers
from helpers import random_showers
from two_stage_cases import SMALL, batch_of, fresh, known_showers, learn

KINDS = list(SMALL)


def test_parameter_counts_are_the_published_ones() -> None:
    """In millions: CaloDREAM 1.1 and 17.6, CaloINN 18.8 with energies and voxels in one flow."""
    found = published_networks("flow-matching")
    assert (found["energies"], found["shapes"]) == (1_128_229, 17_643_424)
    with torch.device("meta"):
        one = SplineCouplings(368 + 5, 1, blocks=12, hidden=(256, 256, 256), bins=10, bound=18.0)
    assert sum(p.numel() for p in one.parameters()) == 18_794_712
    assert published_networks("coupling-flow")["shapes"] == 18_621_984
    assert published_networks("diffusion")["shapes"] == found["shapes"]


def test_parameters_of_a_residual_network_by_hand() -> None:
    """7 numbers, a context of 3, width 10, two blocks; a time has 32 numbers."""
    block = (10 + 3 + 32) * 10 + 10 + 2 * 10 + 10 * 10 + 10
    plain = (32 * 32 + 32) + (7 * 10 + 10) + 2 * block
    assert sum(p.numel() for p in ResNet(7, 3, 10, 2).parameters()) == plain + 10 * 7 + 7
    gates = (10 * 14 + 14) + (32 * 21 + 21)
    assert sum(p.numel() for p in ResNet(7, 3, 10, 2, gates=True).parameters()) == plain + gates


def test_a_gate_is_a_small_function_of_its_own_cell() -> None:
    """With nothing but the gates' biases: a tanh(b x) + c x, cell by cell."""
    network = ResNet(2, 1, 4, 1, gates=True)
    assert network.gates is not None
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.gates.bias.copy_(torch.tensor([2.0, 3.0, 0.5, 1.0, -1.0, 0.25]))
    out = network(torch.tensor([[0.4, -0.8]]), torch.ones(1, 1), torch.ones(1, 1))
    first, second = 2.0 * math.tanh(0.5 * 0.4) - 0.4, 3.0 * math.tanh(-0.8) - 0.8 * 0.25
    assert out[0].tolist() == pytest.approx([first, second], rel=1e-4)


def test_one_cycle_by_hand_and_as_torch_has_it() -> None:
    assert one_cycle(0.0, start=0.5, warm_up=0.2) == pytest.approx(0.5)
    assert one_cycle(0.1, start=0.5, warm_up=0.2) == pytest.approx(0.75)
    assert one_cycle(0.2) == pytest.approx(0.04 + 0.96 * 0.75)
    assert one_cycle(0.3) == pytest.approx(1.0)
    assert one_cycle(1.0) == one_cycle(7.0) == pytest.approx(4e-6)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2.0, total_steps=101)
    rates = []
    for _ in range(100):
        rates.append(cycle.get_last_lr()[0])
        optimizer.step()
        cycle.step()
    # torch counts its warm-up to the step before the share of steps
    shares = [one_cycle(k / 100, warm_up=0.293) for k in range(100)]
    assert np.array(rates) / 2.0 == pytest.approx(np.array(shares), abs=0.02)


@pytest.mark.parametrize(
    ("kind", "steps", "rate"),
    [("coupling-flow", 120, 5e-3), ("flow-matching", 400, 6e-3), ("diffusion", 400, 1e-2)],
)
def test_known_showers_are_learned(kind: str, steps: int, rate: float) -> None:
    """The visible share, its spread, the layers' parts, hits, and the middle cells."""
    showers = known_showers(256)
    rates = {"energy_rate": 5e-3, "shape_rate": rate}
    model = fresh(kind, showers, energy_steps=steps, shape_steps=steps, **rates)
    learn(model, batch_of(showers), steps)
    model.eval()
    condition = batch_of(known_showers(256, 1)).condition
    noise = torch.from_numpy(shower_noise(3, 0, 256, model.latent.size, "normal"))
    with torch.no_grad():
        energy = model(condition, noise).double()
    total = energy.sum(-1)
    ratio = total / condition[:, 0]
    assert ratio.mean().item() == pytest.approx(0.05, rel=0.02)
    assert ratio.std().item() == pytest.approx(0.005, rel=0.3)
    layers = energy.view(-1, 4, 25)
    profile = (layers.sum(-1) / total[:, None]).mean(0)
    assert profile.numpy() == pytest.approx(np.array([0.1, 0.4, 0.3, 0.2]), rel=0.05)
    middle = layers[:, :, 12].sum(-1) / total
    assert middle.mean().item() == pytest.approx(0.5, abs=0.15)
    assert (energy > 0).double().mean().item() == pytest.approx(0.52, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_learning_rates_follow_the_steps(kind: str) -> None:
    showers = known_showers(16)
    config = {"energy_steps": 4, "energy_rate": 1e-3, "warm_up": 0.5, "rate_start": 0.1}
    model = fresh(kind, showers, **config)
    rates = []
    optimizers = model.optimizers()

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        if optimizer == "energies":
            rates.append(optimizers[optimizer].param_groups[0]["lr"])

    losses = [model.training_step(batch_of(showers), update) for _ in range(6)]
    assert rates == pytest.approx([1e-4, 5.5e-4, 1e-3, 5e-4], rel=1e-4)  # then they rest
    assert [bool(loss["energies"].isnan()) for loss in losses] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_empty_showers_give_finite_gradients(kind: str) -> None:
    showers = known_showers(16)
    model = fresh(kind, showers)
    batch = batch_of(showers)
    empty = TrainingBatch(batch.condition, torch.zeros_like(batch.energy))
    losses = learn(model, empty, 1)[0]
    assert all(np.isfinite(value) for value in losses.values())
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_without_energy_stay_without(kind: str) -> None:
    """The last two layers are never hit; one layer has a single cell."""
    sizes = (4, 1, 3, 2)
    grids = [CartesianGrid(nx=n, ny=1, dx=1.0, dy=1.0) for n in sizes]
    layers = tuple(Layer(z=float(k), thickness=1.0, segmentation=g) for k, g in enumerate(grids))
    showers = random_showers(64, Calorimeter(name="t", layers=layers))
    rng, dense = np.random.default_rng(0), np.zeros((64, 10))
    dense[:, :5] = showers.incident.energy[:, None] * rng.uniform(0.01, 0.02, (64, 5))
    showers = Showers.from_dense(showers.calorimeter, showers.incident, dense, showers.provenance)
    model = fresh(kind, showers, energy_steps=60, energy_rate=5e-3)
    learn(model, batch_of(showers), 60)
    model.eval()
    noise = torch.from_numpy(shower_noise(3, 0, 64, model.latent.size, "normal"))
    with torch.no_grad():
        energy = model(batch_of(showers).condition, noise)
    assert (energy[:, :5].sum(1) > 0).all()
    behind = energy[:, 5:].sum(1) / energy.sum(1)
    assert behind.max().item() < 1e-2


DISTILLING = ["model.shape_steps=2", "model.distil_steps=4", "model.energy_steps=3"]


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_is_bit_for_bit(kind: str, tmp_path: Path) -> None:
    """Through the end of the energies' steps and, for diffusion, into the distillation."""
    data = write_showers(tmp_path / "train.h5", known_showers(9))
    recipe = tmp_path / "recipe.yaml"
    config = "".join(f"  {key}: {value}\n" for key, value in SMALL[kind].items())
    recipe.write_text(f"model:\n  kind: {kind}\n{config}training:\n  batch_size: 4\n")
    more = DISTILLING if kind == "diffusion" else DISTILLING[2:]
    options = [*more, "training.accelerator=cpu"]
    whole = train(recipe, data, tmp_path / "a", overrides=[*options, "training.max_steps=6"])
    train(recipe, data, tmp_path / "b", overrides=[*options, "training.max_steps=4"])
    resumed = train(
        recipe, data, tmp_path / "b", overrides=[*options, "training.max_steps=6"], resume=True
    )
    first, second = (load_file(f / "weights.safetensors") for f in (whole, resumed))
    assert set(first) == set(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_exports_with_all_its_steps(kind: str, tmp_path: Path) -> None:
    """The graph is compared with torch on export."""
    showers = known_showers(24)
    least: dict[str, dict[str, int]] = {
        "coupling-flow": {"blocks": 2, "energy_blocks": 2},
        "flow-matching": {"steps": 2, "energy_solver_steps": 1},
        "diffusion": {"steps": 2, "energy_blocks": 2},
    }
    model = fresh(kind, showers, **least[kind]).eval()
    artifact = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert export_onnx(artifact, tmp_path / "m.onnx").stat().st_size > 1000
