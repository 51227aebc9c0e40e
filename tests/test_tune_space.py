"""What a study may change, and what it judges by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from caloforge.config import Recipe, load_recipe
from caloforge.errors import ConfigError
from caloforge.tune import Dimension, Objective, Space
from caloforge.tune.objective import need_classifiers, need_training, parse_objectives
from caloforge.tune.space import Value

GAN = Recipe(model={"kind": "3dgan"})
LIBRARY = Recipe(model={"kind": "library"})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("log:1e-5:1e-2", FloatDistribution(1e-5, 1e-2, log=True)),
        ("0.1:0.9", FloatDistribution(0.1, 0.9)),
        ("-2:3", FloatDistribution(-2, 3)),
        ("int:2:8", IntDistribution(2, 8)),
        ("int:16:128:16", IntDistribution(16, 128, step=16)),
        ("int:log:1:100", IntDistribution(1, 100, log=True)),
        ("log:int:1:100", IntDistribution(1, 100, log=True)),
        ("32-true|bf16-mixed", CategoricalDistribution(("32-true", "bf16-mixed"))),
        ([16, 32, "a"], CategoricalDistribution(("16", "32", "a"))),
        ([[8, 8], [16]], CategoricalDistribution(("[8, 8]", "[16]"))),
    ],
)
def test_a_specification_is_a_distribution(spec: str, expected: object) -> None:
    assert Dimension.parse("model.x", spec).distribution() == expected


@pytest.mark.parametrize(
    "spec",
    [
        *("", "1", "a:b", "log:0:1", "log:1", "2:1", "1:1", "int:1.5:3", "int:1:8:3", "int:1:8:0"),
        *("1:2:3", "int:log:1:8:2", "a|a", "a|", "log:nan:1", "0:inf"),
    ],
)
def test_a_wrong_specification_names_its_key(spec: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"--search model.x={spec}: ")):
        Dimension.parse("model.x", spec)


def test_choices_are_what_yaml_makes_of_them() -> None:
    dimension = Dimension.parse("model.x", "true|3|0.5|relu|[8, 16]|null")
    values = [dimension.in_recipe(choice) for choice in dimension.choices]
    assert values == [True, 3, 0.5, "relu", [8, 16], None]
    assert [dimension.from_recipe(value) for value in values] == list(dimension.choices)
    assert dimension.from_recipe((8, 16)) == "[8, 16]"
    with pytest.raises(ConfigError, match=r"model\.x.*gelu"):
        dimension.from_recipe("gelu")


def test_a_space_begins_with_the_recipe_as_it_is() -> None:
    words = ["model.learning_rate=log:1e-5:1e-1", "training.batch_size=int:16:256:16"]
    space = Space(GAN, [*words, "training.precision=32-true|bf16-mixed"])
    assert space.default == {
        "model.learning_rate": 1e-3,  # the published rate
        "training.batch_size": 128,
        "training.precision": "32-true",
    }
    params: dict[str, Value] = {"model.learning_rate": 2e-5, "training.precision": "bf16-mixed"}
    recipe = space.recipe(params)
    assert recipe.settings == {"learning_rate": 2e-5}
    assert recipe.training.precision == "bf16-mixed"
    assert recipe.training.batch_size == 128
    assert GAN.settings == {}


def test_the_recipe_may_say_it_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "model: {kind: library}\n"
        "tune:\n  search: {model.neighbours: [5, 10]}\n  objective: [separation.hits]\n"
    )
    recipe = load_recipe(file)
    assert recipe.tune.objective == ["separation.hits"]
    assert Space(recipe).to_dict() == {"model.neighbours": "5|10"}
    space = Space(recipe, ["model.neighbours=int:1:20"])
    assert space.to_dict() == {"model.neighbours": "int:1:20"}
    assert space.base.to_dict() == {"model": {"kind": "library"}}
    file.write_text("model: {kind: library}\ntune: {serch: {}}\n")
    with pytest.raises(ConfigError, match=r"tune\.serch.*search"):
        load_recipe(file)
    file.write_text("model: {kind: library}\ntune: {search: {model.neighbours: 1:20}}\n")
    with pytest.raises(ConfigError, match=r"tune\.search\.model\.neighbours"):
        load_recipe(file)  # 1:20 is 80 in YAML


@pytest.mark.parametrize(
    ("recipe", "word", "says"),
    [
        (LIBRARY, "model.colour=1:2", ["model.colour", "neighbours"]),
        (LIBRARY, "model.neighbours=int:0:20", ["model.neighbours", "greater than 0"]),
        (LIBRARY, "model.neighbours=int:1:9", ["model.neighbours", "10", "--set"]),
        (LIBRARY, "model.neighbours=int:1:20:2", ["the step must divide"]),
        (LIBRARY, "model.neighbours=int:1:19:2", ["10", "none of these"]),
        (LIBRARY, "training.max_steps=int:1:9", ["training.max_steps", "None"]),
        (LIBRARY, "colour=a|b", ["colour", "model"]),
        (LIBRARY, "model.neighbours.x=1:2", ["neighbours"]),
        (GAN, "training.precision=32-true|16", ["training.precision", "16"]),
        (GAN, "model.learning_rate", ["--search model.learning_rate", "log:1e-5:1e-2"]),
    ],
)
def test_the_recipe_must_allow_what_is_searched(recipe: Recipe, word: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Space(recipe, [word])
    for text in says:
        assert text in str(caught.value)


def test_nothing_to_search_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--search"):
        Space(LIBRARY)


METRICS = {
    "separation": {"hits": 0.2, "depth": 0.4, "sparsity": None},
    "errors": {"separation": {"hits": 0.01, "depth": 0.03}},
    "auc": {"low": {"mean": 0.7, "std": 0.02}},
    "fpd": {"value": None, "error": None},
    "notes": {"fpd": "fewer than 100 showers"},
    "generation_ms": None,
}


def test_an_objective_is_a_figure_or_the_mean_of_a_group() -> None:
    separation, auc, time = (
        each.resolve(METRICS)
        for each in parse_objectives(["separation", "auc.low:max", "generation_ms"])
    )
    assert separation.parts == ("separation.hits", "separation.depth")
    assert separation.read(METRICS).value == pytest.approx(0.3)
    assert separation.read(METRICS).error == pytest.approx(0.02)
    assert auc.read(METRICS).value == 0.7
    assert auc.read(METRICS).error == 0.02
    assert (auc.maximise, separation.maximise) == (True, False)
    assert time.read(METRICS | {"generation_ms": 3.0}).value == 3.0
    missing = METRICS | {"separation": {"hits": 0.2, "depth": None, "sparsity": 0.1}}
    assert separation.read(missing).value is None


def test_what_cannot_be_computed_is_said_before_any_training() -> None:
    with pytest.raises(ConfigError, match="fpd.*fewer than 100 showers"):
        Objective.parse("fpd").resolve(METRICS)
    with pytest.raises(ConfigError, match="beauty"):
        Objective.parse("beauty").resolve(METRICS)
    with pytest.raises(ConfigError, match=r"separation\.beauty"):
        Objective.parse("separation.beauty").resolve(METRICS)


def test_objectives_by_their_words() -> None:
    assert [each.name for each in parse_objectives([])] == ["separation"]
    assert Objective.parse("auc.low:max").text == "auc.low:max"
    assert Objective.parse("auc.low:min").text == "auc.low"
    with pytest.raises(ConfigError, match="auc.low:up"):
        Objective.parse("auc.low:up")
    with pytest.raises(ConfigError, match="twice"):
        parse_objectives(["fpd", "fpd:max"])
    assert need_classifiers(parse_objectives(["auc.low"]))
    assert not need_classifiers(parse_objectives(["separation"]))
    assert need_training(parse_objectives(["memorisation.p_value:max"]))
