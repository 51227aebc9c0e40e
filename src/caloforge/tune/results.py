"""What a study found, in plain numbers: the content of ``tune.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from optuna import Study
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from caloforge._version import __version__
from caloforge.config import Recipe
from caloforge.tune.objective import Objective
from caloforge.tune.sampler import LOST
from caloforge.tune.space import Value
from caloforge.tune.study import DEFAULT, OUTCOME, REASON, TWIN, TuningStudy, model_folder

SCHEMA = 1
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}

ENOUGH = 4
"""So many complete trials are needed to say which values matter."""


@dataclass(frozen=True)
class TrialRow:
    """One trial. ``values`` and ``errors``: per objective; ``stages``: percent of budget, value."""

    number: int
    state: str
    default: bool
    params: dict[str, Value]
    values: list[float | None]
    errors: list[float | None]
    stages: dict[int, float]
    steps: int | None
    seconds: float | None
    milliseconds: float | None
    same_as: int | None
    reason: str
    folder: str

    @classmethod
    def of(cls, trial: FrozenTrial, objectives: int) -> TrialRow:
        """From Optuna's."""
        said = trial.user_attrs
        outcome = said.get(OUTCOME, {})
        nothing: list[float | None] = [None] * objectives
        complete = trial.state == TrialState.COMPLETE
        return cls(
            number=trial.number,
            state=STATES[trial.state.name],
            default=DEFAULT in said,
            params=dict(trial.params),
            values=list(trial.values) if complete else nothing,
            errors=list(outcome.get("errors", nothing)) if complete else nothing,
            stages={step: float(value) for step, value in trial.intermediate_values.items()},
            steps=outcome.get("steps"),
            seconds=outcome.get("seconds"),
            milliseconds=outcome.get("milliseconds"),
            same_as=said.get(TWIN),
            reason=str(said.get(REASON, "")),
            folder=model_folder(trial),
        )


@dataclass(frozen=True)
class Results:
    """A study: what was asked, its trials, the best of them, and which values matter."""

    recipe_name: str
    recipe: dict[str, Any]
    search: dict[str, str]
    objectives: tuple[Objective, ...]
    floor: list[float | None]
    data: dict[str, Any]
    storage: str
    study: str
    settings: dict[str, Any]
    trials: list[TrialRow]
    best: list[int]
    recipes: dict[int, Recipe]
    importances: dict[str, dict[str, float]] = field(default_factory=dict)
    lost: int = 0

    @classmethod
    def of(
        cls,
        study: TuningStudy,
        floor: list[float | None],
        *,
        recipe_name: str,
        data: dict[str, Any],
        storage: str,
        settings: dict[str, Any],
    ) -> Results:
        """Of a study as it is now."""
        trials, objectives = study.trials(), study.objectives
        counted = [
            trial
            for trial in trials
            if LOST not in trial.user_attrs and trial.state != TrialState.WAITING
        ]
        best = best_trials(trials, objectives)
        return cls(
            recipe_name=recipe_name,
            recipe=study.space.base.to_dict(),
            search=study.space.to_dict(),
            objectives=objectives,
            floor=floor,
            data=data,
            storage=storage,
            study=study.optuna.study_name,
            settings=settings,
            trials=[TrialRow.of(trial, len(objectives)) for trial in counted],
            best=[trial.number for trial in best],
            recipes={trial.number: study.space.recipe(trial.params) for trial in best},
            importances=importances(study.optuna, objectives),
            lost=sum(LOST in trial.user_attrs for trial in trials),
        )

    def row(self, number: int) -> TrialRow:
        """A trial by its number."""
        return next(row for row in self.trials if row.number == number)

    @property
    def default(self) -> TrialRow | None:
        """The recipe as it is; None when it failed."""
        return next((row for row in self.trials if row.default and row.state == "complete"), None)

    @property
    def several(self) -> bool:
        """Whether the best are a Pareto front."""
        return len(self.objectives) > 1

    def count(self, state: str) -> int:
        """Trials of a state."""
        return sum(row.state == state for row in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``tune.json``."""
        objectives = [
            {
                "name": each.name,
                "direction": "max" if each.maximise else "min",
                "mean_of": list(each.parts),
                "floor": floor,
            }
            for each, floor in zip(self.objectives, self.floor, strict=True)
        ]
        return {
            "schema": SCHEMA,
            "caloforge": __version__,
            "recipe_name": self.recipe_name,
            "recipe": self.recipe,
            "search": self.search,
            "objectives": objectives,
            "data": self.data,
            "storage": self.storage,
            "study": self.study,
            "settings": self.settings,
            "counts": {state: self.count(state) for state in STATES.values()} | {"lost": self.lost},
            "default": None if self.default is None else self.default.number,
            "best": self.best,
            "importances": self.importances,
            "trials": [asdict(row) for row in self.trials],
        }


def best_trials(
    trials: Sequence[FrozenTrial], objectives: Sequence[Objective]
) -> list[FrozenTrial]:
    """The best trial, or those that no other beats in every objective; the first of equal ones."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return []
    signs = np.array([-1.0 if each.maximise else 1.0 for each in objectives])
    losses = np.array([trial.values for trial in complete]) * signs
    if len(objectives) == 1:
        return [complete[int(np.argmin(losses[:, 0]))]]
    front = []
    for number, loss in enumerate(losses):
        beaten = np.all(losses <= loss, axis=1) & np.any(losses < loss, axis=1)
        repeated = np.all(losses[:number] == loss, axis=1)
        if not beaten.any() and not repeated.any():
            front.append(complete[number])
    return sorted(front, key=lambda trial: float(trial.values[0]))


def importances(study: Study, objectives: Sequence[Objective]) -> dict[str, dict[str, float]]:
    """How much of an objective's variance follows from each value alone, and from those with it.

    Functional ANOVA (F. Hutter et al., ICML 2014; Optuna's) over the complete trials. Empty when
    there are too few, or all are alike.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found: dict[str, dict[str, float]] = {}
    if len(complete) < ENOUGH:
        return found
    for number, objective in enumerate(objectives):
        values = [trial.values[number] for trial in complete]
        if len(set(values)) < 2:
            continue

        def target(trial: FrozenTrial, number: int = number) -> float:
            return float(trial.values[number])

        shares = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target=target
        )
        found[objective.name] = {key: float(share) for key, share in shares.items()}
    return found
