"""A crew that does no training: a trial's figures are a function of its recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.config import Recipe
from caloforge.errors import CaloforgeError
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import write_showers
from caloforge.tasks.job import Job
from caloforge.tune import HereCrew
from caloforge.tune.crew import Done
from caloforge.tune.objective import Objective
from caloforge.tune.trial import Outcome, TrialJob, TrialTask
from helpers import random_showers, small_calorimeter

Figures = Callable[[Recipe, float], list[float | None]]
"""From a recipe and the share of its budget to its objectives."""

GAN = Recipe(model={"kind": "3dgan"})
"""Trained by gradient steps, for no detector in particular."""

RATE = "model.learning_rate=log:1e-5:1e-1"


def bowl(recipe: Recipe, share: float) -> list[float | None]:
    """A parabola in the logarithm of the learning rate, best at 1e-4, that sinks with training."""
    rate = float(recipe.settings.get("learning_rate", 1e-3))
    return [(np.log10(rate) + 4) ** 2 + 2.0 - share]


class FakeCrew(HereCrew):
    """Answers at once; remembers the tasks.

    Args:
        figures: says what a trial is worth, or raises.
        stop_after: raises KeyboardInterrupt in the place of this result.
    """

    def __init__(self, figures: Figures = bowl, stop_after: int | None = None) -> None:
        super().__init__()
        self.figures, self.stop_after = figures, stop_after
        self.tasks: list[TrialTask] = []

    def begin(self, job: Job) -> None:
        assert isinstance(job, TrialJob)
        super().begin(self._fake)

    def _fake(self, shard: Any, advance: Any) -> Showers:
        task: TrialTask = shard
        self.tasks.append(task)
        assert task.recipe is not None
        values = self.figures(task.recipe, task.share)
        errors: list[float | None] = [0.1] * len(values)
        said = Outcome(values, errors, round(100 * task.share), 60 * task.share, 1.0)
        calorimeter = small_calorimeter()
        provenance = Provenance("tune", source={"outcome": asdict(said)})
        return Showers(calorimeter, Incident({"energy": np.empty(0)}), [0], [], [], provenance)

    def next(self, timeout: float) -> Done | None:
        if self.stop_after is not None and len(self.tasks) >= self.stop_after:
            raise KeyboardInterrupt
        return super().next(0.01)

    @property
    def tried(self) -> list[int]:
        """Every trial that was started, in order."""
        return list(dict.fromkeys(task.trial for task in self.tasks))


def failing(error: CaloforgeError, at: Callable[[float], bool]) -> Figures:
    """:func:`bowl`, but ``error`` where the learning rate is such."""

    def figures(recipe: Recipe, share: float) -> list[float | None]:
        if at(float(recipe.settings.get("learning_rate", 1e-3))):
            raise error
        return bowl(recipe, share)

    return figures


def no_judge(job: TrialJob, _: Path) -> tuple[tuple[Objective, ...], list[float | None]]:
    """Every figure can be computed, and a perfect generator has 0.5."""
    known = tuple(Objective(e.name, e.maximise, (e.name,)) for e in job.objectives)
    return known, [0.5] * len(known)


@pytest.fixture
def fake_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """No validation before the first trial, no figures after the last."""
    monkeypatch.setattr(import_module("caloforge.tune.report.write"), "draw_study", lambda *_: [])
    monkeypatch.setattr(import_module("caloforge.tune.run"), "look_at_the_judge", no_judge)


@pytest.fixture(scope="session")
def showers_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 showers of a small calorimeter."""
    return write_showers(tmp_path_factory.mktemp("tune") / "showers.h5", random_showers(200))
