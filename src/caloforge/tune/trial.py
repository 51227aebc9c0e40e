"""A trial: train a recipe for a part of its budget, generate like the validation showers, judge."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from caloforge.api import train
from caloforge.artifact import read_description
from caloforge.beam import like
from caloforge.config import Recipe, changed_recipe
from caloforge.errors import ConfigError
from caloforge.generate import generate_to_store, open_engine
from caloforge.models import GradientModel, model_kinds
from caloforge.showers import Incident, Provenance, Showers
from caloforge.store import open_showers
from caloforge.tasks import Advance, Shard
from caloforge.train.checkpoint import FILE
from caloforge.train.run import FOLDER
from caloforge.tune.objective import Objective, need_classifiers, need_training
from caloforge.validate import validate

STAGES = (0.25, 0.5, 1.0)
"""Shares of the budget after which a trial is judged, and may be given up."""


@dataclass(frozen=True)
class Budget:
    """How long a trial may train: the recipe's steps, and not beyond these."""

    max_steps: int | None = None
    max_minutes: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A judged trial: a value and an uncertainty per objective, None where there is none.

    ``seconds`` of training so far, after ``steps``; ``milliseconds`` per generated shower.
    """

    values: list[float | None]
    errors: list[float | None]
    steps: int
    seconds: float
    milliseconds: float


@dataclass(frozen=True)
class TrialTask(Shard):
    """Train trial ``trial`` to ``share`` of its budget, in ``folder``, and judge it.

    ``seconds``: trained already. It travels the ways of :mod:`caloforge.tasks`, which know shards.
    """

    trial: int = 0
    recipe: Recipe | None = None
    folder: Path = Path()
    share: float = 1.0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"trial {self.trial}"


@dataclass(frozen=True)
class TrialJob:
    """A :class:`caloforge.tasks.Job` whose shards are :class:`TrialTask`.

    The :class:`Outcome` travels in the ``source`` of the provenance of no showers.
    """

    train: tuple[Path, ...]
    validation: Path
    objectives: tuple[Objective, ...]
    budget: Budget
    seed: int
    threads: int | None = None

    def __call__(self, shard: Shard, advance: Advance) -> Showers:
        """Do the task.

        Raises:
            CaloforgeError: see their messages.
        """
        assert isinstance(shard, TrialTask)
        self._share_the_cores()
        with ThreadPoolExecutor(1) as apart:  # training in the main thread would answer to Ctrl-C
            apart.submit(self._train, shard).result()
        said = {"outcome": asdict(self._judge(shard))}
        with open_showers(self.validation) as reader:
            calorimeter = reader.calorimeter
        nothing = Incident({"energy": np.empty(0)})
        provenance = Provenance("tune", geometry=calorimeter.hash, source=said)
        return Showers(calorimeter, nothing, [0], [], [], provenance)

    def _share_the_cores(self) -> None:
        if self.threads is None:
            return
        import torch
        from threadpoolctl import threadpool_limits

        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)

    def _train(self, task: TrialTask) -> None:
        assert task.recipe is not None
        recipe = self._recipe(task, task.recipe)
        done = _steps_done(task.folder / FOLDER / FILE)
        started = done is not None and done <= (recipe.training.max_steps or done)
        if not started:
            shutil.rmtree(task.folder, ignore_errors=True)
        train(recipe, self.train, task.folder, resume=started)

    def _recipe(self, task: TrialTask, recipe: Recipe) -> Recipe:
        """With the limits of this stage."""
        if not staged(recipe):
            return recipe
        limits: dict[str, Any] = {}
        config = recipe.training
        steps = _least(config.max_steps, self.budget.max_steps)
        minutes = _least(config.max_minutes, self.budget.max_minutes)
        if task.share < 1.0:
            epochs = config.epochs * (self._showers() // config.batch_size)
            steps = max(1, round(task.share * (_least(epochs, steps) or 1)))
        if minutes is not None:
            limits["training.max_minutes"] = max(task.share * minutes - task.seconds / 60, 1e-3)
        if steps is not None:
            limits["training.max_steps"] = steps
        return changed_recipe(recipe, limits)

    def _showers(self) -> int:
        total = 0
        for path in self.train:
            with open_showers(path) as reader:
                total += len(reader)
        return total

    def _judge(self, task: TrialTask) -> Outcome:
        source = read_description(task.folder)["provenance"]["source"]
        engine = open_engine(task.folder)
        incident = like(self.validation, None, engine.description["condition"])
        file = task.folder / "generated.h5"
        try:
            made = generate_to_store(engine, incident, file, seed=self.seed)
            metrics = judged(self, file)
        finally:
            file.unlink(missing_ok=True)
        figures = [each.read(metrics) for each in self.objectives]
        return Outcome(
            values=[each.value for each in figures],
            errors=[each.error for each in figures],
            steps=int(source["training_steps"]),
            seconds=float(source["training_seconds"]),
            milliseconds=made.generation_ms,
        )


def judged(job: TrialJob, showers: Path) -> dict[str, Any]:
    """The figures of generated showers against the validation part."""
    training = None
    if need_training(job.objectives):
        if len(job.train) > 1:
            raise ConfigError(
                "memorisation figures need the training showers in one store; convert them together"
            )
        training = job.train[0]
    return validate(
        job.validation,
        showers,
        training=training,
        seed=job.seed,
        quick=True,
        classifiers=need_classifiers(job.objectives),
    ).metrics


def outcome(showers: Showers) -> Outcome:
    """What a :class:`TrialJob` sent."""
    said: Mapping[str, Any] = showers.provenance.source["outcome"]
    return Outcome(**said)


def staged(recipe: Recipe) -> bool:
    """Whether the model is trained step by step, so that a trial can be judged in between."""
    return issubclass(model_kinds()[recipe.kind], GradientModel)


def _steps_done(checkpoint: Path) -> int | None:
    """Of an earlier stage, or of a worker that died; None where there is nothing to go on from."""
    try:
        with safe_open(checkpoint, framework="pt") as file:
            return int(file.metadata()["step"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


def _least(*numbers: Any) -> Any:
    given = [number for number in numbers if number is not None]
    return min(given) if given else None
