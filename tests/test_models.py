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
from caloforge.export import export_onnx
from caloforge.geometry import Calorimeter, load_detector
from caloforge.models import (
    DirectModel,
    GradientModel,
    ShowerModel,
    TrainingSample,
    build_model,
    model_kinds,
)
from caloforge.runtime import OnnxEngine, shower_noise
from caloforge.showers import Incident, Provenance, Showers
from gan_cases import batch_of
from helpers import lcd_showers, random_showers, small_calorimeter
from learning import Learning

KINDS = list(model_kinds())

N = 3
"""Showers that a model makes here."""

ANY_CALORIMETER = {"layered", "coupling-flow", "flow-matching", "diffusion", "recurrent", "vae"}
"""These kinds are tested in a small calorimeter, the others where they are at home."""

USUAL = {"energy": 50e3, "pdg": 11.0, "theta": np.pi / 2}
"""Conditions of a usual particle; positions are zero."""

SMALL: dict[str, dict[str, object]] = {
    "2dgan": {"width": 0.1},
    "coupling-flow": {"blocks": 2, "hidden": [32], "energy_blocks": 2, "energy_hidden": [16]},
    "diffusion": {"width": 32, "steps": 3, "energy_blocks": 2, "energy_hidden": [16]},
    "flow-matching": {"width": 32, "steps": 2, "energy_width": 32, "energy_solver_steps": 2},
    "recurrent": {"memory": 16, "hidden": 16},
    "vae-conv": {"width": 4, "hidden": 16},
}
"""Configurations that make kinds small: the contract holds at any size."""

USUAL_OF = {"lagan": {"pdg": 24.0}}
"""The same for kinds that know other particles."""


def calorimeter_of(kind: str) -> Calorimeter:
    return small_calorimeter() if kind in ANY_CALORIMETER else load_detector(home(kind))


def home(kind: str) -> str:
    return model_kinds()[kind].home


def usual(kind: str, column: str) -> float:
    return USUAL_OF.get(kind, {}).get(column, USUAL.get(column, 0.0))


@functools.cache
def sample_of(kind: str) -> Showers:
    """A few showers where the kind is at home, with all the columns it looks at."""
    showers = random_showers(24, calorimeter_of(kind), 4, occupancy=0.05)
    condition = build_model(kind, showers.calorimeter).condition_columns
    columns = {name: np.full(24, usual(kind, name)) for name in condition}
    own = {name: columns[name] for name in USUAL_OF.get(kind, {})}
    incident = Incident({**columns, **showers.incident.columns, **own})
    dense = showers.dense()
    return Showers.from_dense(showers.calorimeter, incident, dense, showers.provenance)


@pytest.fixture(scope="module")
def sample() -> Showers:
    return lcd_showers(24, seed=4)


def fitted(kind: str, sample: Showers) -> ShowerModel:
    """A model that has seen the sample; the last ReLU of a fresh one may be dead: the next then."""
    for seed in range(1, 6):
        model = begun(kind, sample, seed)
        if generate(model, 1).any():
            break
    return model


def begun(kind: str, sample: Showers, seed: int) -> ShowerModel:
    """A model that has seen the sample, if only for a moment."""
    torch.manual_seed(seed)
    model = build_model(kind, sample.calorimeter, SMALL.get(kind))
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
    condition = torch.tensor([usual(model.kind, name) for name in model.condition_columns])
    condition = condition.repeat(n, 1)
    if "energy" in model.condition_columns:
        column = model.condition_columns.index("energy")
        condition[:, column] = torch.linspace(15e3, 90e3, n)
    latent = model.latent
    noise = shower_noise(seed, 0, n, latent.size, latent.distribution)
    return condition, torch.from_numpy(noise)


def generate(model: ShowerModel, n: int, seed: int = 0) -> np.ndarray:
    with torch.no_grad():
        return model(*inputs(model, n, seed)).numpy()


@pytest.fixture(scope="module")
def made(model: ShowerModel) -> np.ndarray:
    """The model's first showers."""
    return generate(model, N)


def test_makes_energies_in_every_cell(model: ShowerModel, made: np.ndarray) -> None:
    assert made.shape == (N, model.calorimeter.n_cells)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert (made > 0).any()


def test_nothing_lies_below_the_threshold(model: ShowerModel, made: np.ndarray) -> None:
    assert (made[made != 0] >= model.calorimeter.cell_threshold).all()


def test_same_noise_same_showers_other_noise_others(model: ShowerModel, made: np.ndarray) -> None:
    assert np.array_equal(generate(model, N), made)
    assert not np.array_equal(generate(model, N, seed=9), made)


def test_a_shower_does_not_depend_on_its_batch(model: ShowerModel, made: np.ndarray) -> None:
    condition, noise = inputs(model, N)
    with torch.no_grad():
        alone = torch.cat([model(condition[k : k + 1], noise[k : k + 1]) for k in range(N)])
    assert torch.allclose(torch.from_numpy(made), alone, rtol=2e-7, atol=0)


def test_the_networks_are_all_of_its_parameters(model: ShowerModel) -> None:
    assert sum(model.networks().values()) == sum(p.numel() for p in model.parameters())


def test_state_is_tensors_and_reads_back(
    model: ShowerModel, made: np.ndarray, tmp_path: Path
) -> None:
    save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert all(p.suffix in {".json", ".yaml", ".safetensors"} for p in (tmp_path / "m").iterdir())
    state = load_file(tmp_path / "m" / "weights.safetensors")
    assert set(state) == set(model.state_dict())
    again = load_artifact(tmp_path / "m").model
    assert not again.training
    assert np.array_equal(generate(again, N), made)


def test_exports_to_a_graph_that_agrees_or_says_what_to_do(
    model: ShowerModel, made: np.ndarray, tmp_path: Path
) -> None:
    """The export compares with torch itself; then again on other particles, in another batch."""
    save_artifact(tmp_path / "m", model, Provenance(step="test"))
    if not model.exportable:
        with pytest.raises(ModelError, match="run its folder with"):
            export_onnx(tmp_path / "m", tmp_path / "m.onnx")
        return
    graph = OnnxEngine(export_onnx(tmp_path / "m", tmp_path / "m.onnx"))
    condition, noise = inputs(model, N)
    found, expected = graph.run(condition.numpy(), noise.numpy()), made
    assert (found > 0).any()
    either = np.maximum(found, expected)
    sure = either > 1.001 * max(model.calorimeter.cell_threshold, 1e-6)
    assert np.abs(found - expected)[sure].max() <= 1e-4 * either[sure].max()
    assert np.isclose(found, expected, rtol=1e-3)[sure].mean() > 0.999


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

STEPS = {"layered": 3, "diffusion": 7}  # RAdam takes tiny steps at first


def test_gradient_models_learn_from_one_step(model: ShowerModel) -> None:
    sample = sample_of(model.kind)
    if not isinstance(model, GradientModel):
        pytest.skip("fitted in one go")
    torch.manual_seed(1)
    config = {**SMALL.get(model.kind, {}), **ONE_STEP_EACH.get(model.kind, {})}
    fresh = build_model(model.kind, model.calorimeter, config)
    assert isinstance(fresh, GradientModel)
    learning = Learning(fresh, sample)
    assert learning.every_parameter_has_one_optimizer()
    batch = batch_of(fresh, sample, 2)
    learned: set[str] = set()
    for _ in range(STEPS.get(model.kind, 1)):
        losses = fresh.training_step(batch, learning.update)
        learned |= {name for name, value in losses.items() if torch.isfinite(value)}
    assert learned == set(losses)
    assert learning.every_parameter_moved()
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
