"""Recipes: YAML -> validated configuration -> what was asked for on the command line.

A recipe holds only what differs from the defaults:

    model:
      kind: 3dgan
    detector: lcd-ecal-25
    training:
      epochs: 60

A section ``tune`` says what ``caloforge tune`` may change; training ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.errors import ConfigError
from caloforge.models.registry import all_kinds, explain
from caloforge.train.config import TrainingConfig


class TuneConfig(BaseModel):
    """What ``caloforge tune`` searches and what it judges by; see :mod:`caloforge.tune`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: dict[str, str | list[Any]] = {}
    """From a key of the recipe to its values: ``log:1e-5:1e-2``, ``int:2:8``, ``a|b|c``."""
    objective: list[str] = []
    """Figures of the validation; several make a Pareto front."""


class Recipe(BaseModel):
    """What to train, for which detector, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: dict[str, Any]
    """``kind`` and that model's configuration."""
    detector: str | None = None
    """The detector the recipe is meant for; the data's own when absent."""
    start_from: str | None = None
    """A trained model (shipped name or folder) whose weights to begin with."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    tune: TuneConfig = Field(default_factory=TuneConfig)

    @property
    def kind(self) -> str:
        """The model's name."""
        return str(self.model["kind"])

    @property
    def settings(self) -> dict[str, Any]:
        """The model's configuration without its kind."""
        return {key: value for key, value in self.model.items() if key != "kind"}

    def to_dict(self) -> dict[str, Any]:
        """Only what differs from the defaults, ready for YAML or JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)


def recipe_names() -> list[str]:
    """The recipes that come with Caloforge."""
    folder = files("caloforge") / "recipes"
    return sorted(e.name.removesuffix(".yaml") for e in folder.iterdir() if ".yaml" in e.name)


def load_recipe(name_or_file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its shipped name or from a YAML file, with ``key.sub=value`` overrides.

    Raises:
        ConfigError: no such recipe, not YAML, an unknown key or a wrong value.
    """
    text, origin = _read(str(name_or_file))
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML; fix it: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{origin}: a recipe is a mapping with 'model' and 'training'; fix it")
    for override in overrides:
        _apply(raw, override)
    return _checked(raw, origin)


def changed_recipe(recipe: Recipe, values: Mapping[str, Any], origin: str = "recipe") -> Recipe:
    """The recipe with other values for some of its keys (``section.key``).

    Raises:
        ConfigError: an unknown key or a wrong value.
    """
    raw = recipe.to_dict()
    for key, value in values.items():
        _put(raw, key, value, origin)
    return _checked(raw, origin)


_SCHEMAS: dict[str, type[BaseModel]] = {"training": TrainingConfig, "tune": TuneConfig}


def _checked(raw: Mapping[str, Any], origin: str) -> Recipe:
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        schema = _SCHEMAS.get("".join(map(str, error.errors()[0]["loc"][:1])), Recipe)
        raise ConfigError(explain(error, origin, schema)) from error
    if "kind" not in recipe.model:
        raise ConfigError(
            f"{origin}: 'model.kind' is missing; choose one of {', '.join(all_kinds())}"
        )
    if recipe.kind not in all_kinds():
        raise ConfigError(
            f"{origin}: unknown 'model.kind' '{recipe.kind}'; "
            f"choose one of {', '.join(all_kinds())}"
        )
    _check_settings(recipe, origin)
    return recipe


def _check_settings(recipe: Recipe, origin: str) -> None:
    schema = all_kinds()[recipe.kind].config_class
    try:
        schema.model_validate(recipe.settings)
    except ValidationError as error:
        raise ConfigError(explain(error, f"{origin}: model", schema)) from error


def _read(name: str) -> tuple[str, str]:
    if name in recipe_names():
        file = files("caloforge") / "recipes" / f"{name}.yaml"
        return file.read_text(encoding="utf-8"), f"recipe {name}"
    path = Path(name)
    if not path.is_file():
        raise ConfigError(
            f"unknown recipe '{name}'; choose one of {', '.join(recipe_names())} "
            "or give a YAML file"
        )
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read this recipe ({error}); give a YAML file") from error


def _apply(raw: dict[str, Any], override: str) -> None:
    """Set one ``section.key=value``; the value is read as YAML."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, as in training.epochs=3")
    try:
        _put(raw, key, yaml.safe_load(value), f"--set {override}")
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it") from error


def _put(raw: dict[str, Any], key: str, value: Any, origin: str) -> None:
    *sections, last = key.split(".")
    target = raw
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{origin}: '{section}' is not a section of the recipe")
    target[last] = value
