"""The loop of a study: ask for a trial, let the crew train and judge it, tell what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from optuna.trial import FrozenTrial, Trial, TrialState

from caloforge.artifact import make_folder
from caloforge.config import Recipe
from caloforge.errors import (
    CaloforgeError,
    ConfigError,
    FormatError,
    GeometryError,
    ModelError,
    OutputError,
    ShowerError,
    one_line,
)
from caloforge.tune.crew import Crew, Done
from caloforge.tune.results import best_trials
from caloforge.tune.space import Space
from caloforge.tune.study import DEFAULT, OUTCOME, TWIN, TuningStudy, model_folder
from caloforge.tune.trial import (
    STAGES,
    Outcome,
    TrialJob,
    TrialTask,
    outcome,
    staged,
)
from caloforge.tune.watch import BEAT

Keep = Literal["best", "all", "none"]
"""Which trials keep the folder of their model."""

MODELS = "models"

_STOP = (OutputError, FormatError)
"""A trial's error that would be every trial's."""

_USELESS = (ConfigError, GeometryError, ShowerError, ModelError)
"""What the recipe as it is must not raise: the study would compare with nothing."""


@dataclass(frozen=True)
class Progress:
    """How far a study is: finished trials of ``total``, and the best value so far."""

    done: int
    total: int
    best: float | None


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    trials: int
    pruning: bool
    keep: Keep


@dataclass
class _Active:
    """A trial under way: its recipe, and how far it is."""

    trial: Trial
    recipe: Recipe
    stages: tuple[float, ...]
    seconds: float = 0.0


class Loop:
    """Keeps the crew busy until the study holds enough trials."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        job: TrialJob,
        wanted: Wanted,
        study: TuningStudy,
        crew: Crew,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.folder, self.space, self.job, self.wanted = folder, space, job, wanted
        self.study, self.crew, self.progress = study, crew, progress
        self.objectives = job.objectives
        self._active: dict[int, _Active] = {}
        self._tasks = 0

    def go(self) -> None:
        """Do the trials that are missing.

        Raises:
            ConfigError: the recipe as it is cannot be trained.
            CaloforgeError: every trial would fail.
        """
        if self.study.fresh:
            shutil.rmtree(self.folder / MODELS, ignore_errors=True)
        self.study.recover()
        self.study.beat()
        self._tell()
        if self.study.finished >= self.wanted.trials:
            return
        make_folder(self.folder / MODELS)
        try:
            with ExitStack() as stack:
                stack.callback(self.crew.stop)
                self.crew.begin(self.job)
                while self._fill() or self.study.finished < self.wanted.trials:
                    done = self.crew.next(BEAT)
                    if done is not None:
                        self._take(done)
                    self.study.beat()
        finally:
            self._release()
        self._sweep()

    def _release(self) -> None:
        """Queue again what is under way."""
        for number in self._active:
            self.study.lose(self.study.trials()[number], blame=False)

    def _fill(self) -> bool:
        """Give the crew work; False when no trial of ours is under way."""
        while len(self._active) < self.crew.size and self.study.counted < self.wanted.trials:
            self._begin(self.study.ask())
        return bool(self._active)

    def _begin(self, trial: Trial) -> None:
        twin = self.study.twin(trial)
        if twin is not None:
            self._copy(twin, trial)
            return
        try:
            recipe = self.space.recipe(trial.params)
        except ConfigError as error:
            self.study.fail(trial, one_line(error))
            self._tell()
            return
        several = self.wanted.pruning and len(self.objectives) == 1 and staged(recipe)
        done = max(self.study.stages_done(trial), default=0)
        stages = tuple(share for share in STAGES if _percent(share) > done)
        active = _Active(trial, recipe, stages if several else STAGES[-1:])
        active.seconds = float(trial.user_attrs.get(OUTCOME, {}).get("seconds", 0.0))
        self._active[trial.number] = active
        self._start(active)

    def _copy(self, twin: FrozenTrial, trial: Trial) -> None:
        """The same recipe would give the same figures: they are taken over."""
        trial.set_user_attr(OUTCOME, twin.user_attrs[OUTCOME])
        trial.set_user_attr(TWIN, twin.number)
        for step, value in twin.intermediate_values.items():
            trial.report(value, step)
        if twin.state == TrialState.PRUNED:
            self.study.prune(trial)
        else:
            self.study.tell(trial, twin.values)
        self._tell()

    def _start(self, active: _Active) -> None:
        number, self._tasks = self._tasks, self._tasks + 1
        task = TrialTask(
            number=number,
            start=0,
            stop=0,
            trial=active.trial.number,
            recipe=active.recipe,
            folder=self._folder_of(active.trial).absolute(),
            share=active.stages[0],
            seconds=active.seconds,
        )
        self.crew.start(task)

    def _folder_of(self, trial: Trial) -> Path:
        return self.folder / MODELS / model_folder(trial)

    def _take(self, done: Done) -> None:
        active = self._active[done.task.trial]
        if not self.study.running(active.trial):
            self._end(active)  # another runner took this one for dead and does it again
        elif isinstance(done.result, CaloforgeError):
            self._failed(active, done.result)
        else:
            self._judged(active, outcome(done.result))

    def _failed(self, active: _Active, error: CaloforgeError) -> None:
        if isinstance(error, _STOP):
            raise error
        if DEFAULT in active.trial.user_attrs and isinstance(error, _USELESS):
            raise ConfigError(f"the recipe as it is cannot be tried: {one_line(error)}") from error
        self._end(active)
        self.study.fail(active.trial, one_line(error))
        self._forget(active.trial)
        self._tell()

    def _judged(self, active: _Active, found: Outcome) -> None:
        trial, share = active.trial, active.stages[0]
        active.stages, active.seconds = active.stages[1:], found.seconds
        trial.set_user_attr(OUTCOME, asdict(found))
        first = found.values[0]
        if active.stages:
            if first is not None:
                trial.report(first, _percent(share))
                if self.study.hopeless(trial):
                    self._end(active)
                    self.study.prune(trial)
                    self._forget(trial)
                    self._tell()
                    return
            self._start(active)
            return
        self._end(active)
        missing = [
            each.name for each, v in zip(self.objectives, found.values, strict=True) if v is None
        ]
        if missing:
            self.study.fail(trial, f"{missing[0]} cannot be computed from its showers")
        else:
            self.study.tell(trial, [value for value in found.values if value is not None])
        self._sweep()
        self._tell()

    def _end(self, active: _Active) -> None:
        del self._active[active.trial.number]

    def _forget(self, trial: Trial) -> None:
        if self.wanted.keep != "all":
            shutil.rmtree(self._folder_of(trial), ignore_errors=True)

    def _sweep(self) -> None:
        """Remove the models of finished trials that are not to be kept."""
        if self.wanted.keep == "all":
            return
        kept = {model_folder(each) for each in self.study.trials() if not each.state.is_finished()}
        if self.wanted.keep == "best":
            kept |= {model_folder(best) for best in self.best()}
        for folder in (self.folder / MODELS).glob("trial-*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def best(self) -> list[FrozenTrial]:
        """The best trial, or the Pareto front."""
        return best_trials(self.study.trials(), self.objectives)

    def _tell(self) -> None:
        if self.progress is None:
            return
        best = self.best()
        value = best[0].values[0] if best and len(self.objectives) == 1 else None
        self.progress(Progress(self.study.finished, self.wanted.trials, value))


def _percent(share: float) -> int:
    """The step at which Optuna keeps a stage's figure."""
    return round(100 * share)
