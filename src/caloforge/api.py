"""The Python mirror of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from caloforge.config import Recipe, load_recipe
from caloforge.data import load_sample
from caloforge.geometry import load_detector
from caloforge.models import build_model
from caloforge.showers import file_digest
from caloforge.train import fit_model


def train(
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    quiet: bool = True,
) -> Path:
    """Train a model and return its artifact folder.

    Args:
        recipe: a shipped recipe's name, a YAML file, or a :class:`Recipe`.
        data: one or many store files of training showers.
        output: artifact folder to write.
        overrides: ``key.sub=value`` changes to the recipe.
        resume: continue an interrupted run of the same recipe and data.
        quiet: no progress bar.

    Raises:
        ConfigError, DataError, GeometryError, TrainingError, OutputError: see their messages.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    paths = [data] if isinstance(data, str | Path) else list(data)
    expected = load_detector(chosen.detector) if chosen.detector else None
    showers = load_sample(paths, expected)
    torch.manual_seed(chosen.training.seed)  # the initial weights
    model = build_model(chosen.kind, showers.calorimeter, chosen.settings)
    return fit_model(
        model,
        showers,
        chosen.training,
        output,
        inputs={Path(path).name: file_digest(path) for path in paths},
        recipe=chosen.to_dict(),
        resume=resume,
        quiet=quiet,
    )
