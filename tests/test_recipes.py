"""Every recipe that comes along trains, at a tiny size, and makes what it is for."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from caloforge import load_model, load_predictor, train
from caloforge.config import Recipe, load_recipe, recipe_names
from caloforge.geometry import Calorimeter, detector_names, load_detector
from caloforge.models import Predictor, all_kinds, build_any
from caloforge.showers import Incident, Showers
from caloforge.store import write_showers
from helpers import random_showers

STAGES = {
    "coupling-flow": ("energy_steps", "shape_steps"),
    "diffusion": ("energy_steps", "shape_steps"),
    "flow-matching": ("energy_steps", "shape_steps"),
    "layered": ("cell_steps", "energy_steps", "shape_steps", "refine_steps"),
}
"""Settings that a shorter training shortens too."""

SMALLER = {"triforce-googlenet": ["model.window=9"], "triforce-resnet": ["model.window=9"]}
"""A window of fewer cells for what takes seconds a shower."""

USUAL = {"theta": np.pi / 2}
PARTICLES = {"lagan": (24.0,)}

N = 8
"""Showers, and what most trainings see of them in one step."""


def detector_of(recipe: Recipe) -> Calorimeter:
    return load_detector(recipe.detector or all_kinds()[recipe.kind].home)


@functools.cache
def showers_of(detector: str, columns: tuple[str, ...], particles: tuple[float, ...]) -> Showers:
    plain = random_showers(N, load_detector(detector), seed=3, occupancy=0.03)
    pdg = np.resize(particles, N)
    asked = {name: np.full(N, USUAL.get(name, 0.0)) for name in columns}
    incident = Incident({**asked, **plain.incident.columns, "pdg": pdg})
    return Showers.from_dense(plain.calorimeter, incident, plain.dense(), plain.provenance)


def short(recipe: Recipe) -> list[str]:
    """Overrides for a training of a few steps, in every stage that the recipe has."""
    stages = [stage for stage in STAGES.get(recipe.kind, ()) if recipe.model.get(stage) != 0]
    steps = [f"model.{stage}=1" for stage in stages]
    distil = ["model.distil_steps=1"] if recipe.model.get("distil_steps") else []
    size = ["training.batch_size=4", "training.accelerator=cpu", "training.checkpoint_every=100"]
    smaller = SMALLER.get(recipe.kind, [])
    return [
        *smaller,
        *steps,
        *distil,
        *size,
        f"training.max_steps={max(1, len(steps) + len(distil))}",
    ]


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_valid_and_lean(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.kind in all_kinds()
    assert "null" not in json.dumps(recipe.to_dict())


def test_every_detector_has_a_recipe() -> None:
    named = {load_recipe(name).detector for name in recipe_names()}
    same_cells = {"lcd-hcal-birks": "lcd-hcal"}  # named in the recipe's first lines
    assert {same_cells.get(name, name) for name in detector_names()} <= named


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    calorimeter = detector_of(recipe)
    model = build_any(recipe.kind, calorimeter, recipe.settings)
    predicts = isinstance(model, Predictor)
    columns = () if predicts else tuple(model.condition_columns)
    particles = (11.0, 22.0) if predicts else PARTICLES.get(recipe.kind, (11.0,))
    showers = showers_of(calorimeter.name, columns, particles)
    data = write_showers(tmp_path / "train.h5", showers)
    folder = train(name, data, tmp_path / "model", overrides=short(recipe))
    if predicts:
        assert load_predictor(folder).predict(showers).targets["energy"].shape == (N,)
    else:
        made = load_model(folder).generate(incident=showers.incident, seed=1)
        assert len(made) == N
        assert made.calorimeter.hash == calorimeter.hash
        assert np.isfinite(made.energy).all()
