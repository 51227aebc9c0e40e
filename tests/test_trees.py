"""Boosted trees: the same as scikit-learn's, safe to load, linear beyond the trained energies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from caloforge.artifact import load_predictor_artifact, save_artifact
from caloforge.errors import ConfigError, GeometryError, ModelError, ShowerError
from caloforge.models import build_any
from caloforge.models.predictors.trees import Trees
from caloforge.models.predictors.trees.features import FEATURES, feature_table
from caloforge.models.predictors.trees.forest import Forest
from caloforge.observables import observables
from caloforge.showers import Incident, Provenance, Showers
from helpers import random_showers
from particle_showers import CLASSES, particle_showers

FEW = {"trees": 40, "features": ["total", "block_energy", "moments", "axis"]}


def fitted(showers: Showers, **config: object) -> Trees:
    model = build_any("trees", showers.calorimeter, {**FEW, **config})
    assert isinstance(model, Trees)
    model.fit(showers)
    return model.eval()


@pytest.fixture(scope="module")
def sample() -> Showers:
    return particle_showers(900, 1)


@pytest.fixture(scope="module")
def trees(sample: Showers) -> Trees:
    return fitted(sample, classes=CLASSES, targets=["energy", "theta"])


def test_a_tree_by_hand() -> None:
    """x0 <= 1 gives 10; else x1 <= 5 gives 20, above 30; from a baseline of 0.5."""
    forest = Forest()
    forest.feature = torch.tensor([0, 0, 1, 0, 0])
    forest.threshold = torch.tensor([1.0, 0.0, 5.0, 0.0, 0.0], dtype=torch.float64)
    forest.left = torch.tensor([1, -1, 3, -1, -1])
    forest.right = torch.tensor([2, -1, 4, -1, -1])
    forest.value = torch.tensor([0.0, 10.0, 0.0, 20.0, 30.0], dtype=torch.float64)
    forest.root, forest.column = torch.tensor([0]), torch.tensor([0])
    forest.baseline = torch.tensor([0.5], dtype=torch.float64)
    rows = np.array([[1.0, 9.0], [1.1, 5.0], [2.0, 5.1]])
    assert forest.sums(rows)[:, 0].tolist() == [10.5, 20.5, 30.5]
    with pytest.raises(ModelError, match="damaged"):
        forest.sums(rows[:, :1].copy())  # the second feature is not there
    forest.right = torch.tensor([2, -1, 0, -1, -1])  # a way back: it would never end
    with pytest.raises(ModelError, match="damaged"):
        forest.sums(rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_sums_are_those_of_scikit_learn(classes: int) -> None:
    """On rows that the trees have not seen, among them infinite ones."""
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(500, 4)), rng.normal(size=(300, 4))
    new[0, 0], new[1, 1] = np.inf, -np.inf
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5 if classes == 3 else 0)
    classifier = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(x, y)
    forest = Forest()
    forest.take(classifier, x, classifier.decision_function(x).reshape(len(x), -1))
    raw = classifier.decision_function(new).reshape(len(new), -1)
    assert np.allclose(forest.sums(new), raw, rtol=1e-12, atol=1e-12)
    regressor = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x, x[:, 2] ** 2)
    forest.take(regressor, x, regressor.predict(x)[:, None])
    assert np.allclose(forest.sums(new)[:, 0], regressor.predict(new), rtol=1e-12)


def test_trees_that_changed_their_place_are_noticed() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    regressor = HistGradientBoostingRegressor(max_iter=3).fit(x, x[:, 0])
    with pytest.raises(ModelError, match="scikit-learn"):
        Forest().take(regressor, x, regressor.predict(x)[:, None] + 1e-3)
    del regressor._predictors
    with pytest.raises(ModelError, match=r"constraints\.txt"):
        Forest().take(regressor, x, x[:, :1])


def test_particles_are_told_apart_and_measured(trees: Trees) -> None:
    test = particle_showers(400, 2)
    told = trees.predict(test)
    assert np.mean(told.pdg == np.abs(test.incident["pdg"])) > 0.97
    energy, visible = test.incident.energy, test.total_energy / test.incident.energy
    response = told.targets["energy"] / energy
    assert response.mean() == pytest.approx(1.0, abs=0.01)
    assert response.std() < 0.8 * visible.std() / visible.mean()  # 3 % is the limit of the sample
    assert (told.targets["theta"] - test.incident["theta"]).std() < 0.06


def test_the_energy_is_linear_beyond_the_sample(trees: Trees) -> None:
    """Showers of twice the energy, all cells doubled: twice the answer, if the shape is alike."""
    test = particle_showers(200, 3)
    double = Incident({**test.incident.columns, "energy": 2 * test.incident.energy})
    larger = Showers(test.calorimeter, double, test.offset, test.cell, 2 * test.energy)
    model = fitted(particle_showers(500, 1), classes=[], features=["block_share", "moments"])
    one, two = model.predict(test).targets["energy"], model.predict(larger).targets["energy"]
    assert np.allclose(two, 2 * one, rtol=1e-6)


def test_classes_that_the_sample_lacks_are_never_told(sample: Showers) -> None:
    some = sample[sample.incident["pdg"] != 22]
    told = fitted(some, classes=[22, *CLASSES[::2]], targets=[], trees=5).predict(sample[:20])
    assert (told.probability[:, 0] == 0).all()
    assert np.allclose(told.probability.sum(axis=1), 1)


def test_one_particle_alone_is_no_classification(sample: Showers) -> None:
    electrons = sample[sample.incident["pdg"] == 11]
    with pytest.raises(ShowerError, match=r"model\.classes=\[\]"):
        fitted(electrons, classes=CLASSES)
    assert fitted(electrons[:60], classes=[]).predict(electrons[:2]).targets["energy"].shape == (2,)


def test_a_handful_of_showers_is_enough_to_run() -> None:
    few = particle_showers(12, 6)
    told = fitted(few, classes=CLASSES).predict(few)
    assert told.probability.shape == (12, 3)


def test_empty_showers_do_not_disturb_the_energy(sample: Showers) -> None:
    some = sample[:200]
    dense = some.dense()
    dense[:5] = 0
    holes = Showers.from_dense(some.calorimeter, some.incident, dense)
    told = fitted(holes, classes=[]).predict(holes)
    assert (told.targets["energy"][:5] == 0).all()
    assert np.isfinite(told.targets["energy"]).all()
    none = Showers.from_dense(some.calorimeter, some.incident, 0 * dense)
    with pytest.raises(ShowerError, match="empty"):
        fitted(none, classes=[])


def test_features_are_columns_by_name(sample: Showers) -> None:
    few = sample[:7]
    table = observables(few)
    for name in FEATURES:
        columns = feature_table(table, few.calorimeter, [name])
        assert columns.shape[0] == 7
        assert np.isfinite(columns).all(), name
    ecal = few.dense()[:, : 9**3].sum(axis=1)
    blocks = feature_table(table, few.calorimeter, ["total", "block_energy", "block_share"])
    assert np.allclose(blocks[:, 1], ecal, rtol=1e-5)
    assert np.allclose(blocks[:, 1] + blocks[:, 2], few.total_energy, rtol=1e-5)
    assert np.allclose(blocks[:, 3] + blocks[:, 4], 1.0)
    with pytest.raises(ConfigError, match="colour"):
        build_any("trees", few.calorimeter, {"features": ["colour"]})
    with pytest.raises(ConfigError, match="features"):
        build_any("trees", few.calorimeter, {"features": []})


def test_another_calorimeter_is_refused(trees: Trees) -> None:
    with pytest.raises(GeometryError):
        trees.fit(random_showers(3))


def test_an_untrained_model_says_so(sample: Showers) -> None:
    model = build_any("trees", sample.calorimeter, FEW)
    assert isinstance(model, Trees)
    with pytest.raises(ModelError, match="train"):
        model.predict(sample[:2])


@pytest.mark.parametrize("where", ["feature", "left", "right", "root", "column"])
def test_arrays_that_lead_nowhere_are_not_followed(
    trees: Trees, sample: Showers, tmp_path: Path, where: str
) -> None:
    """Compiled code would read any memory: a model from a stranger must not."""
    folder = save_artifact(tmp_path / "m", trees, Provenance(step="test"))
    weights = folder / "weights.safetensors"
    state = load_file(weights)
    numbers = state[f"forests.energy.{where}"]
    numbers[int(numbers.argmax())] = 2**40
    save_file(state, weights)
    with pytest.raises(ModelError, match="damaged"):
        load_predictor_artifact(folder).model.predict(sample[:2])
