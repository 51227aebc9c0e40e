"""Recipes: YAML -> validated configuration -> what was asked for on the command line.

A recipe holds only what differs from the defaults:

    model:
      kind: 3dgan
    detector: lcd-ecal-25
    training:
      epochs: 60
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.errors import ConfigError
from caloforge.models.registry import all_kinds, explain
from caloforge.train.config import TrainingConfig


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
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        schema = TrainingConfig if error.errors()[0]["loc"][:1] == ("training",) else Recipe
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
    *sections, last = key.split(".")
    target = raw
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: '{section}' is not a section of the recipe")
    try:
        target[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it") from error
