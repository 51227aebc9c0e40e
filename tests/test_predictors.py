"""One contract for every predictor: probabilities, units, empty showers, state without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from caloforge.artifact import (
    load_artifact,
    load_predictor_artifact,
    read_description,
    save_artifact,
)
from caloforge.errors import ConfigError, ModelError, ShowerError
from caloforge.export import export_onnx
from caloforge.generate import open_engine
from caloforge.geometry import Calorimeter
from caloforge.models import (
    Fittable,
    Model,
    Predictor,
    Trainable,
    TrainingBatch,
    TrainingSample,
    build_any,
    build_model,
    predictor_kinds,
)
from caloforge.models.predictors import class_numbers
from caloforge.showers import Incident, Provenance, Showers
from helpers import lcd_showers
from learning import Learning
from particle_showers import CLASSES, particle_showers, two_windows

KINDS = list(predictor_kinds())
ASKED = {"classes": CLASSES, "targets": ["energy", "theta", "phi"]}
SMALL = {"trees": {"trees": 5}, "triforce-dnn": {"neurons": 16}, "triforce-cnn": {"neurons": 16}}
"""Smaller sizes than published, for the tests' sake."""


@pytest.fixture(scope="module")
def calorimeter() -> Calorimeter:
    return two_windows(5)


@pytest.fixture(scope="module")
def sample(calorimeter: Calorimeter) -> Showers:
    return particle_showers(60, 1, calorimeter)


def built(kind: str, calorimeter: Calorimeter, **config: object) -> Predictor:
    torch.manual_seed(1)
    model = build_any(kind, calorimeter, {**ASKED, **SMALL.get(kind, {}), **config})
    assert isinstance(model, Predictor)
    return model


def fitted(kind: str, sample: Showers) -> Predictor:
    """A predictor that has seen the sample, if only for a moment."""
    model = built(kind, sample.calorimeter)
    if isinstance(model, Fittable):
        model.fit(sample)
    return model.eval()


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, sample: Showers) -> Predictor:
    return fitted(request.param, sample)


def test_tells_probabilities_and_values(model: Predictor, sample: Showers) -> None:
    told = model.predict(sample[:6])
    assert told.classes == CLASSES
    assert told.probability.shape == (6, 3)
    assert np.allclose(told.probability.sum(axis=1), 1.0, atol=1e-6)
    assert (told.probability >= 0).all()
    assert set(told.pdg) <= set(CLASSES)
    assert list(told.targets) == ["energy", "theta", "phi"]
    assert all(values.shape == (6,) for values in told.targets.values())
    assert all(np.isfinite(values).all() for values in told.targets.values())
    assert (told.targets["energy"] > 10.0).all()  # MeV
    assert (np.abs(told.targets["theta"] - np.pi / 2) < 1.5).all()  # rad


def test_a_prediction_does_not_depend_on_its_batch(model: Predictor, sample: Showers) -> None:
    together = model.predict(sample[:4])
    for k in range(4):
        alone = model.predict(sample[[k]])
        assert np.allclose(alone.probability, together.probability[[k]], rtol=1e-4, atol=1e-6)
        for name, values in alone.targets.items():
            assert np.allclose(values, together.targets[name][[k]], rtol=1e-5, atol=1e-5), name


def test_cells_below_the_threshold_do_not_count(model: Predictor, sample: Showers) -> None:
    few = sample[:3]
    dense = few.dense()
    dense[dense == 0] = 0.9 * sample.calorimeter.cell_threshold
    noisy = Showers.from_dense(few.calorimeter, few.incident, dense)
    assert np.array_equal(model.predict(noisy).probability, model.predict(few).probability)


def test_empty_showers_have_no_energy(model: Predictor, calorimeter: Calorimeter) -> None:
    incident = Incident({"energy": [1e4, 2e4]})
    told = model.predict(Showers(calorimeter, incident, [0, 0, 0], [], []))
    assert np.isfinite(told.probability).all()
    assert np.allclose(told.targets["theta"], np.pi / 2, atol=0.7)
    if model.kind == "trees":
        assert (told.targets["energy"] == 0).all()
    else:
        assert (told.targets["energy"] >= 0).all()


def test_it_takes_nothing_from_the_truth(model: Predictor, sample: Showers) -> None:
    few = sample[:3]
    other = Incident({"energy": np.full(3, 1.0)})
    blind = Showers(few.calorimeter, other, few.offset, few.cell, few.energy)
    assert np.array_equal(model.predict(blind).probability, model.predict(few).probability)


def test_state_is_tensors_and_reads_back(model: Predictor, sample: Showers, tmp_path: Path) -> None:
    save_artifact(tmp_path / "m", model, Provenance(step="test"))
    assert all(p.suffix in {".json", ".yaml", ".safetensors"} for p in (tmp_path / "m").iterdir())
    assert set(load_file(tmp_path / "m" / "weights.safetensors")) == set(model.state_dict())
    description = read_description(tmp_path / "m")
    assert description["task"] == "predict"
    assert description["classes"] == list(CLASSES)
    assert description["targets"] == ["energy", "theta", "phi"]
    again = load_predictor_artifact(tmp_path / "m").model
    assert not again.training
    one, other = again.predict(sample[:4]), model.predict(sample[:4])
    assert np.array_equal(one.probability, other.probability)
    assert all(np.array_equal(one.targets[k], other.targets[k]) for k in one.targets)


def test_the_networks_are_all_of_its_parameters(model: Predictor) -> None:
    assert sum(model.networks().values()) == sum(p.numel() for p in model.parameters())


def test_unknown_configuration_is_named(model: Predictor) -> None:
    for config, word in (
        ({"colour": 1}, "colour"),
        ({"targets": ["charge"]}, "targets"),
        ({"classes": [], "targets": []}, "nothing to predict"),
        ({"classes": [11, 11]}, "twice"),
        ({"classes": [-11]}, "classes"),
    ):
        with pytest.raises(ConfigError, match=word):
            build_any(model.kind, model.calorimeter, config)


def test_classes_or_targets_alone(model: Predictor, sample: Showers) -> None:
    for asked, columns in (
        ({"targets": []}, ("pdg",)),
        ({"classes": [], "targets": ["energy"]}, ("energy",)),
    ):
        alone = built(model.kind, sample.calorimeter, **asked)
        assert alone.condition_columns == columns
        if isinstance(alone, Fittable):
            alone.fit(sample)
        told = alone.eval().predict(sample[:2])
        assert told.probability.shape == (2, len(alone.classes))
        assert list(told.targets) == list(alone.targets)


def truth(model: Model, showers: Showers) -> torch.Tensor:
    columns = [showers.incident[name] for name in model.condition_columns]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def test_networks_learn_from_one_step(model: Predictor, sample: Showers) -> None:
    if not isinstance(model, Trainable):
        pytest.skip("fitted in one go")
    fresh = built(model.kind, sample.calorimeter)
    assert isinstance(fresh, Trainable)
    learning = Learning(fresh, sample)
    assert learning.every_parameter_has_one_optimizer()
    few = sample[:4]
    batch = TrainingBatch(truth(fresh, few), torch.from_numpy(few.dense()))
    losses = fresh.training_step(batch, learning.update)
    assert list(losses) == ["classes", "energy", "theta", "phi"]
    assert all(torch.isfinite(value) for value in losses.values())
    assert learning.every_parameter_moved()
    nothing = TrainingBatch(batch.condition, torch.zeros_like(batch.energy))
    fresh.training_step(nothing, learning.update)
    assert all(bool(p.isfinite().all()) for p in fresh.parameters())


def test_a_particle_of_no_class_is_named(model: Predictor, sample: Showers) -> None:
    fresh = built(model.kind, sample.calorimeter, classes=[11, 22])
    with pytest.raises(ShowerError, match="211"):
        if isinstance(fresh, Fittable):
            fresh.fit(sample)
        else:
            assert isinstance(fresh, Trainable)
            fresh.prepare(TrainingSample.whole(sample))


def test_training_names_what_the_sample_lacks(model: Predictor, calorimeter: Calorimeter) -> None:
    bare = particle_showers(12, 3, calorimeter)
    energy = Incident({"energy": bare.incident.energy})
    bare = Showers(calorimeter, energy, bare.offset, bare.cell, bare.energy)
    fresh = built(model.kind, calorimeter)
    with pytest.raises(ShowerError, match="no column 'pdg'"):
        if isinstance(fresh, Fittable):
            fresh.fit(bare)
        else:
            assert isinstance(fresh, Trainable)
            fresh.prepare(TrainingSample.whole(bare))


def test_a_predictor_does_not_generate(
    model: Predictor, calorimeter: Calorimeter, tmp_path: Path
) -> None:
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    for engine in ("auto", "torch", "onnx"):
        with pytest.raises(ModelError, match="caloforge predict"):
            open_engine(folder, engine)
    with pytest.raises(ModelError, match="caloforge predict"):
        export_onnx(folder, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="caloforge predict"):
        load_artifact(folder)
    with pytest.raises(ConfigError, match="generators"):
        build_model(model.kind, calorimeter)


def test_a_generator_does_not_predict(tmp_path: Path) -> None:
    showers = lcd_showers(5)
    library = build_model("library", showers.calorimeter)
    assert isinstance(library, Fittable)
    library.fit(showers)
    folder = save_artifact(tmp_path / "m", library, Provenance(step="test"))
    assert read_description(folder)["task"] == "generate"
    with pytest.raises(ModelError, match="caloforge generate"):
        load_predictor_artifact(folder)


def test_missing_weights_are_named(model: Predictor, tmp_path: Path) -> None:
    folder = save_artifact(tmp_path / "m", model, Provenance(step="test"))
    weights = folder / "weights.safetensors"
    state = load_file(weights)
    name = max(state, key=lambda key: state[key].numel())
    save_file({key: value for key, value in state.items() if key != name}, weights)
    with pytest.raises(ModelError, match=r"weights\.safetensors"):
        load_predictor_artifact(folder)


def test_particle_and_antiparticle_are_one_class() -> None:
    found = class_numbers(np.array([11, -11, 22, 13, -211]), [11, 22, 211])
    assert found.tolist() == [0, 0, 1, -1, 2]
    assert class_numbers(np.zeros(0, np.int64), [11]).shape == (0,)
