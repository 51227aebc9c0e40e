"""One contract for every model: shapes, units, noise, determinism, state without pickle."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.artifact import load_artifact, save_artifact
from caloforge.errors import ConfigError, GeometryError, ModelError
from caloforge.geometry import load_detector
from caloforge.models import (
    DirectModel,
    GradientModel,
    ShowerModel,
    TrainingBatch,
    TrainingSample,
    build_model,
    model_kinds,
)
from caloforge.runtime import shower_noise
from caloforge.showers import Incident, Provenance, Showers
from helpers import lcd_showers, random_showers

KINDS = list(model_kinds())

ANY_CALORIMETER = {"layered"}

USUAL = {"energy": 50e3, "pdg": 11.0, "theta": np.pi / 2}
"""Conditions of a usual particle; positions are zero."""


def home(kind: str) -> str:
    return model_kinds()[kind].home


@functools.cache
def sample_of(kind: str) -> Showers:
    """A few showers where the kind is at home, with all the columns it looks at."""
    showers = random_showers(24, load_detector(home(kind)), 4, occupancy=0.02)
    condition = build_model(kind, showers.calorimeter).condition_columns
    columns = {name: np.full(24, USUAL.get(name, 0.0)) for name in condition}
    incident = Incident({**columns, **showers.incident.columns})
    dense = showers.dense()
    return Showers.from_dense(showers.calorimeter, incident, dense, showers.provenance)


@pytest.fixture(scope="module")
def sample() -> Showers:
    return lcd_showers(24, seed=4)


SEEDS = {"3dgan-angle": 2}
"""Other seeds than 1, for random weights with which a last ReLU leaves something."""


def fitted(kind: str, sample: Showers) -> ShowerModel:
    """A model that has seen the sample, if only for a moment."""
    torch.manual_seed(SEEDS.get(kind, 1))
    model = build_model(kind, sample.calorimeter)
    if isinstance(model, DirectModel):
        model.fit(sample)
    if isinstance(model, GradientModel):
        model.prepare(TrainingSample.whole(sample))
        with torch.no_grad():  # enough output to test with
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.rand_like(parameter))
    return model.eval()


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> ShowerModel:
    return fitted(request.param, sample_of(request.param))


def inputs(model: ShowerModel, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    usual = torch.tensor([USUAL.get(name, 0.0) for name in model.condition_columns])
    condition = usual.repeat(n, 1)
    if "energy" in model.condition_columns:
        column = model.condition_columns.index("energy")
        condition[:, column] = torch.linspace(15e3, 90e3, n)
    latent = model.latent
    noise = shower_noise(seed, 0, n, latent.size, latent.distribution)
    return condition, torch.from_numpy(noise)


def generate(model: ShowerModel, n: int, seed: int = 0) -> np.ndarray:
    with torch.no_grad():
        return model(*inputs(model, n, seed)).numpy()


def test_makes_energies_in_every_cell(model: ShowerModel) -> None:
    energy = generate(model, 5)
    assert energy.shape == (5, model.calorimeter.n_cells)
    assert energy.dtype == np.float32
    assert np.isfinite(energy).all()
    assert (energy > 0).any()


def test_nothing_lies_below_the_threshold(model: ShowerModel) -> None:
    energy = generate(model, 5)
    assert (energy[energy != 0] >= model.calorimeter.cell_threshold).all()


def test_same_noise_same_showers_other_noise_others(model: ShowerModel) -> None:
    assert np.array_equal(generate(model, 6), generate(model, 6))
    assert not np.array_equal(generate(model, 6), generate(model, 6, seed=9))


def test_a_shower_does_not_depend_on_its_batch(model: ShowerModel) -> None:
    condition, noise = inputs(model, 6)
    with torch.no_grad():
        together = model(condition, noise)
        alone = torch.cat([model(condition[k : k + 1], noise[k : k + 1]) for k in range(6)])
    assert torch.allclose(together, alone, rtol=2e-7, atol=0)


def test_the_networks_are_all_of_its_parameters(model: ShowerModel) -> None:
    assert sum(model.networks().values()) == sum(p.numel() for p in model.parameters())


def test_state_is_tensors_and_reads_back(model: ShowerModel, tmp_path: Path) -> None:
    save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert all(p.suffix in {".json", ".yaml", ".safetensors"} for p in (tmp_path / "m").iterdir())
    state = load_file(tmp_path / "m" / "weights.safetensors")
    assert set(state) == set(model.state_dict())
    again = load_artifact(tmp_path / "m").model
    assert not again.training
    assert np.array_equal(generate(again, 4), generate(model, 4))


def test_needs_the_right_calorimeter(model: ShowerModel) -> None:
    if isinstance(model, DirectModel):
        with pytest.raises(GeometryError):
            model.fit(random_showers(3))
    elif model.kind in ANY_CALORIMETER:
        pytest.skip("takes any calorimeter")
    else:
        other = "lcd-ecal-25" if home(model.kind) == "calogan-lar" else "calogan-lar"
        with pytest.raises(GeometryError):
            build_model(model.kind, load_detector(other))


def test_unknown_configuration_is_named(model: ShowerModel) -> None:
    with pytest.raises(ConfigError, match="colour"):
        build_model(model.kind, model.calorimeter, {"colour": 1})


ONE_STEP_EACH = {"layered": {"cell_steps": 1, "energy_steps": 1, "shape_steps": 1}}
"""Configurations in which every part has learned after ``STEPS`` steps."""

STEPS = {"layered": 3}


def test_gradient_models_learn_from_one_step(model: ShowerModel) -> None:
    sample = sample_of(model.kind)
    if not isinstance(model, GradientModel):
        pytest.skip("fitted in one go")
    fresh = build_model(model.kind, model.calorimeter, ONE_STEP_EACH.get(model.kind))
    assert isinstance(fresh, GradientModel)
    fresh.prepare(TrainingSample.whole(sample))
    fresh.train()
    optimizers = fresh.optimizers()
    owned = [id(p) for o in optimizers.values() for g in o.param_groups for p in g["params"]]
    assert sorted(owned) == sorted(id(p) for p in fresh.parameters())
    before = {name: p.detach().clone() for name, p in fresh.named_parameters()}

    def update(optimizer: str, loss: torch.Tensor, parts: object) -> None:
        optimizers[optimizer].zero_grad()
        loss.backward()
        optimizers[optimizer].step()

    columns = [sample.incident.columns[name][:2] for name in fresh.condition_columns]
    condition = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
    batch = TrainingBatch(condition, torch.from_numpy(sample[:2].dense()))
    learned: set[str] = set()
    for _ in range(STEPS.get(model.kind, 1)):
        losses = fresh.training_step(batch, update)
        learned |= {name for name, value in losses.items() if torch.isfinite(value)}
    assert learned == set(losses)
    moved = [name for name, p in fresh.named_parameters() if not torch.equal(p, before[name])]
    assert len(moved) == len(before)
    assert fresh.training


def test_unknown_kind_lists_the_known(sample: Showers) -> None:
    with pytest.raises(ConfigError, match="library"):
        build_model("oracle", sample.calorimeter)


def damaged(folder: Path, what: str) -> None:
    if what == "truncated weights":
        (folder / "weights.safetensors").write_bytes(
            (folder / "weights.safetensors").read_bytes()[:1000]
        )
    elif what == "no weights":
        (folder / "weights.safetensors").unlink()
    elif what == "bad json":
        (folder / "artifact.json").write_text("{")
    elif what == "no description":
        (folder / "artifact.json").unlink()
    elif what == "newer schema":
        text = (folder / "artifact.json").read_text()
        (folder / "artifact.json").write_text(text.replace('"schema": 1', '"schema": 9', 1))
    elif what == "other geometry":
        text = (folder / "geometry.yaml").read_text()
        (folder / "geometry.yaml").write_text(text.replace("thickness: 3.82", "thickness: 3.8"))
    elif what == "other model":
        text = (folder / "artifact.json").read_text()
        (folder / "artifact.json").write_text(text.replace('"neighbours": 10', '"colour": 10'))


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("truncated weights", "weights.safetensors"),
        ("no weights", "weights.safetensors"),
        ("bad json", "artifact.json"),
        ("no description", "artifact.json"),
        ("newer schema", "schema 9"),
        ("other geometry", "geometry.yaml"),
        ("other model", "colour"),
    ],
)
def test_damaged_artifacts_are_named(tmp_path: Path, sample: Showers, what: str, word: str) -> None:
    folder = save_artifact(tmp_path / "m", fitted("library", sample), Provenance(step="test"))
    damaged(folder, what)
    with pytest.raises(ModelError, match=word):
        load_artifact(folder)


def test_missing_artifact_says_train(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="caloforge train"):
        load_artifact(tmp_path / "none")
