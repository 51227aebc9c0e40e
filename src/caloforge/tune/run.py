"""``tune``: try recipes until the study holds enough of them, then report."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from caloforge.artifact import make_folder
from caloforge.atomic import atomic_file
from caloforge.config import Recipe, load_recipe
from caloforge.errors import ConfigError, OutputError
from caloforge.models import model_kinds
from caloforge.tasks.lock import LOCK, locked_folder
from caloforge.tune.crew import Crew, LocalCrew
from caloforge.tune.data import TuningData, prepare_data
from caloforge.tune.judge import look_at_the_judge
from caloforge.tune.loop import MODELS, Keep, Loop, Progress, Wanted
from caloforge.tune.objective import Objective, parse_objectives
from caloforge.tune.report import Tuning, write_tuning
from caloforge.tune.results import Results
from caloforge.tune.space import Space
from caloforge.tune.storage import open_storage, quiet_optuna, shown, storage_errors
from caloforge.tune.study import NAME, TuningStudy
from caloforge.tune.trial import Budget, TrialJob

STATE = "runner.json"


def tune(
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    trials: int,
    search: Sequence[str] | Mapping[str, Any] = (),
    objective: str | Sequence[str] = (),
    validation: str | Path | None = None,
    overrides: Sequence[str] = (),
    storage: str | None = None,
    study: str | None = None,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    pruning: bool = True,
    keep: Keep = "best",
    seed: int = 0,
    crew: Crew | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Tuning:
    """Search the recipe's values for better ones; the same call resumes an interrupted study.

    The first trial is the recipe as it is. Trials are judged by showers that none of them is
    trained on; test showers have no part in it.

    Args:
        recipe: a shipped recipe's name, a YAML file, or a :class:`Recipe`.
        data: one or many store files of training showers; a fifth is kept to judge by.
        output: folder of the study: report, best recipes, their models.
        trials: how many the study shall hold in all, the first one included.
        search: ``key=values`` as :mod:`caloforge.tune.space` has them, or a mapping.
        objective: figures of the validation; the mean separation power when none; several make a
            Pareto front (and no trial is given up early).
        validation: showers to judge by, instead of a fifth of ``data``.
        overrides: ``key.sub=value`` changes to the recipe (a name or a file).
        storage: see :mod:`caloforge.tune.storage`; a file in ``output`` when None.
        study: its name in the storage.
        max_steps, max_minutes: a trial trains no longer, whatever the recipe says.
        pruning: give a trial up when it is worse than half of the others at the same stage.
        keep: which trials keep their model.
        seed: fixes division of the showers, choices, generation and judgement.
        crew: who does the trials; one process on this machine when None.
        progress: told after every trial.

    Raises:
        ConfigError: the recipe, a search range, an objective or an option is wrong.
        OutputError: the folder or the storage holds another study, or cannot be used.
        CaloforgeError: see the messages.
    """
    if trials < 1:
        raise ConfigError(f"--trials {trials}: give at least 1")
    chosen = _recipe(recipe, overrides)
    texts = [objective] if isinstance(objective, str) else list(objective)
    setup = _Setup(
        folder=Path(output),
        space=Space(chosen, search),
        data=[data] if isinstance(data, str | Path) else list(data),
        validation=validation,
        objectives=parse_objectives(texts or chosen.tune.objective),
        budget=Budget(max_steps, max_minutes),
        storage=storage or f"sqlite:///{Path(output).absolute() / 'study.db'}",
        study=study or NAME,
        seed=seed,
    )
    name = chosen.kind if isinstance(recipe, Recipe) else str(recipe)
    return setup.run(crew or LocalCrew(), Wanted(trials, pruning, keep), name, progress)


def _recipe(recipe: str | Path | Recipe, overrides: Sequence[str]) -> Recipe:
    if isinstance(recipe, Recipe) and overrides:
        raise ConfigError("overrides change a recipe's name or file; edit the Recipe itself")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    if chosen.kind not in model_kinds():
        raise ConfigError(
            f"'{chosen.kind}' makes no showers to judge a recipe by; tune a generator, one of "
            f"{', '.join(model_kinds())}"
        )
    return chosen


@dataclass(frozen=True)
class _Setup:
    """What makes the study: showers, space, judge, budget, and where it is kept."""

    folder: Path
    space: Space
    data: Sequence[str | Path]
    validation: str | Path | None
    objectives: tuple[Objective, ...]
    budget: Budget
    storage: str
    study: str
    seed: int

    def run(
        self,
        crew: Crew,
        wanted: Wanted,
        name: str,
        progress: Callable[[Progress], None] | None,
    ) -> Tuning:
        """Do the trials that are missing, and report."""
        folder = self.folder
        with ExitStack() as stack:
            stack.enter_context(quiet_optuna())
            stack.enter_context(storage_errors(self.storage))
            with _prepared(folder):
                runner = _runner(folder)
                stack.enter_context(locked_folder(folder, folder))
                opened = open_storage(self.storage)
                parts = prepare_data(
                    folder, self.data, self.validation, recipe=self.space.base, seed=self.seed
                )
                job, floor = self._job(parts, crew)
                known = self._open(opened, runner, parts, job)
            Loop(folder, self.space, job, wanted, known, crew, progress).go()
            results = Results.of(
                known,
                floor,
                recipe_name=name,
                data=dict(parts.facts),
                storage=shown(self.storage),
                settings={"seed": self.seed, **asdict(self.budget)},
            )
            return write_tuning(folder, results, folder / MODELS)

    def _job(self, parts: TuningData, crew: Crew) -> tuple[TrialJob, list[float | None]]:
        """What every worker does, and the floor of every objective."""
        job = TrialJob(
            train=tuple(path.absolute() for path in parts.train),
            validation=parts.validation.absolute(),
            objectives=self.objectives,
            budget=self.budget,
            seed=self.seed,
            threads=crew.threads,
        )
        objectives, floor = look_at_the_judge(job, self.folder)
        return replace(job, objectives=objectives), floor

    def _open(
        self, storage: BaseStorage, runner: str, parts: TuningData, job: TrialJob
    ) -> TuningStudy:
        """The study, which must be the same one as before."""
        identity = {
            "recipe": self.space.base.to_dict(),
            "search": self.space.to_dict(),
            "objectives": [each.text for each in self.objectives],
            "showers": parts.identity,
            "budget": asdict(self.budget),
            "seed": self.seed,
        }
        return TuningStudy(
            storage,
            self.study,
            self.space,
            job.objectives,
            identity,
            seed=self.seed,
            runner=runner,
        )


@contextmanager
def _prepared(folder: Path) -> Iterator[None]:
    """Make the folder; if it is new and the block fails, nothing of it is left."""
    new = not folder.exists()
    make_folder(folder)
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _runner(folder: Path) -> str:
    """The name of this folder's runner in the storage: the same at every call.

    Raises:
        OutputError: the folder holds something else.
    """
    file = folder / STATE
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["runner"])
    except FileNotFoundError:
        return _new_runner(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{file}: unreadable ({error}); give a new folder") from error


def _new_runner(folder: Path) -> str:
    foreign = [path.name for path in folder.iterdir() if path.name != LOCK]
    if foreign:
        raise OutputError(f"{folder}: holds other files ({foreign[0]}); give a new folder")
    name = f"{os.uname().nodename}-{uuid.uuid4().hex[:12]}"
    with atomic_file(folder / STATE) as partial:
        partial.write_text(json.dumps({"runner": name}) + "\n", encoding="utf-8")
    return name
