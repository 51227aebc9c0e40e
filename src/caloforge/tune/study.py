"""The study: which trial comes next, what became of the others, and whose are they.

Several commands may work at one study, each a *runner* with a folder of its own. A runner shows in
the storage that it is alive by counting; the running trials of one that stopped counting, and
those that it left behind itself when it was killed, are marked as lost and queued again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from caloforge.errors import OutputError
from caloforge.tune.objective import Objective
from caloforge.tune.sampler import LOST, PlacedSampler
from caloforge.tune.space import Space
from caloforge.tune.watch import BEATS, Watch

NAME = "caloforge"
"""Of the study in its storage."""

IDENTITY = "identity"
"""An attribute of the study."""

DEFAULT, RUNNER, FOLDER, TRIES, AGAIN = "default", "runner", "folder", "tries", "again"
"""Attributes of a trial: it is the recipe as it is; who does it; the folder of its model; how often
its worker died; the lost trial that it repeats."""

OUTCOME, TWIN = "outcome", "same as"
"""What was measured at its last stage; the trial whose figures it takes over."""

_KEPT = (DEFAULT, TRIES, OUTCOME)

REASON = "reason"
"""Why a trial failed."""

DIED = "its process died again and again; perhaps memory ran out"

MOST_TRIES = 5
"""A trial is begun at most so often."""

READY = 5.0
"""Seconds that another runner may need to make the study."""

UNPRUNED = 4
"""So many trials are finished before one is given up."""


class TuningStudy:
    """An Optuna study that knows its space, its runners and its first trial.

    Args:
        storage: from :func:`caloforge.tune.storage.open_storage`.
        name: of the study in the storage.
        space: what may change.
        objectives: what is judged.
        identity: JSON-ready: everything that makes two trials comparable.
        seed: fixes the choices.
        runner: who works here.

    Raises:
        OutputError: the storage holds another study of this name.
    """

    def __init__(
        self,
        storage: optuna.storages.BaseStorage,
        name: str,
        space: Space,
        objectives: Sequence[Objective],
        identity: Mapping[str, Any],
        *,
        seed: int,
        runner: str,
    ) -> None:
        self.space, self.objectives, self.runner = space, tuple(objectives), runner
        self._storage, self._watch = storage, Watch(runner)
        minimise, maximise = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
        directions = [maximise if each.maximise else minimise for each in objectives]
        setup: dict[str, Any] = {
            "study_name": name,
            "storage": storage,
            "sampler": PlacedSampler(seed),
            "pruner": optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
        }
        create = partial(optuna.create_study, directions=directions, **setup)
        self.fresh = True
        try:
            self._begin(create, identity)
        except optuna.exceptions.DuplicatedStudyError:
            self.optuna = optuna.load_study(**setup)
            difference = self._difference(identity)
            self.fresh = bool(difference) and self._is_empty
            if self.fresh:
                optuna.delete_study(study_name=name, storage=storage)
                self._begin(create, identity)
            elif difference:
                raise OutputError(
                    f"study '{name}' of this storage is another one: {difference}; give the same "
                    "command again, or another folder, --storage or --study"
                ) from None

    def _begin(self, create: Callable[[], optuna.Study], identity: Mapping[str, Any]) -> None:
        self.optuna = create()
        self.optuna.enqueue_trial(self.space.default, user_attrs={DEFAULT: True})
        self.optuna.set_user_attr(IDENTITY, dict(identity))  # last: the study is ready

    def _difference(self, identity: Mapping[str, Any]) -> str:
        """What makes the study in the storage another one, in words; empty when nothing does."""
        end = time.monotonic() + READY
        while IDENTITY not in self.optuna.user_attrs and time.monotonic() < end:
            time.sleep(0.1)  # another runner is just making it
        known = self.optuna.user_attrs.get(IDENTITY, {})
        for key, value in identity.items():
            if known.get(key) != value:
                return f"{key} was {_clip(known.get(key))}, is now {_clip(value)}"
        return ""

    @property
    def _is_empty(self) -> bool:
        """Nothing was tried: the recipe as it is failed at once, and may be mended now."""
        return all(
            trial.state == TrialState.WAITING or LOST in trial.user_attrs for trial in self.trials()
        )

    def trials(self) -> list[FrozenTrial]:
        """All trials, the lost ones included."""
        return self.optuna.get_trials(deepcopy=False)

    @property
    def counted(self) -> int:
        """Trials that are finished or running; the lost ones do not count."""
        return sum(
            trial.state != TrialState.WAITING and LOST not in trial.user_attrs
            for trial in self.trials()
        )

    @property
    def finished(self) -> int:
        """Trials that are finished; the lost ones do not count."""
        return sum(
            trial.state.is_finished() and LOST not in trial.user_attrs for trial in self.trials()
        )

    def ask(self) -> Trial:
        """The next trial: one that waits to be tried again, else a new one."""
        trial = self.optuna.ask(self.space.distributions())
        trial.set_user_attr(RUNNER, self.runner)
        if AGAIN in trial.user_attrs and len(self.objectives) == 1:
            for step, value in self.trials()[trial.user_attrs[AGAIN]].intermediate_values.items():
                trial.report(value, step)
        return trial

    def stages_done(self, trial: Trial) -> list[int]:
        """The percentages of its budget after which a trial was judged already."""
        return list(self.trials()[trial.number].intermediate_values)

    def running(self, trial: Trial) -> bool:
        """Whether the trial is still ours to do."""
        return self.trials()[trial.number].state == TrialState.RUNNING

    def twin(self, trial: Trial) -> FrozenTrial | None:
        """A finished trial of the same recipe, should there be one."""
        for other in self.trials():
            done = other.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if done and other.params == trial.params and other.number != trial.number:
                return other
        return None

    def tell(self, trial: Trial, values: Sequence[float]) -> None:
        """The trial is complete."""
        self._tell(trial.number, TrialState.COMPLETE, values)

    def prune(self, trial: Trial) -> None:
        """The trial is given up."""
        self._tell(trial.number, TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """The trial failed for a reason of its own."""
        trial.set_user_attr(REASON, reason)
        self._tell(trial.number, TrialState.FAIL)

    def _tell(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """False when the trial was not running any more: another runner took it for lost."""
        try:
            self.optuna.tell(number, values, state=state)
        except (ValueError, UpdateFinishedTrialError):
            return False
        return True

    def hopeless(self, trial: Trial) -> bool:
        """Whether the trial is worse than half of the others were; never the recipe as it is."""
        if DEFAULT in trial.user_attrs or len(self.objectives) > 1:
            return False
        return trial.should_prune()

    def beat(self) -> None:
        """Show that this runner is alive, and queue again what the dead ones left behind.

        Does nothing when called again within :data:`BEAT` seconds.
        """
        if not self._watch.count(self.optuna):
            return
        for trial in self._running():
            runner = trial.user_attrs.get(RUNNER, "")
            if runner != self.runner and self._watch.dead(runner, self.optuna.user_attrs):
                self.lose(trial)

    def recover(self) -> None:
        """Queue again what an earlier run of this runner left behind when it was killed."""
        mine = {self.runner} if self._has_company else {self.runner, None}
        for trial in self._running():
            if trial.user_attrs.get(RUNNER) in mine:
                self.lose(trial)
        followed = {trial.user_attrs.get(AGAIN) for trial in self.trials()}
        for trial in self.trials():  # killed just before it queued them
            lost = LOST in trial.user_attrs and trial.user_attrs.get(RUNNER) in mine
            if lost and trial.number not in followed:
                self._queue_again(trial)

    @property
    def _has_company(self) -> bool:
        """Whether other runners were ever seen here: a trial that nobody signed may be theirs."""
        beats = {key for key in self.optuna.user_attrs if key.startswith(BEATS)}
        return bool(beats - {f"{BEATS}{self.runner}"})

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials() if trial.state == TrialState.RUNNING]

    def lose(self, trial: FrozenTrial, *, blame: bool = True) -> None:
        """Mark a running trial as lost and queue the same recipe again.

        Args:
            trial: whose worker is gone.
            blame: whether it may be the trial's own fault.
        """
        tries = int(trial.user_attrs.get(TRIES, 0)) + blame
        marks = {TRIES: tries, LOST: True} if tries < MOST_TRIES else {REASON: DIED}
        try:
            for key, value in marks.items():
                self._storage.set_trial_user_attr(trial._trial_id, key, value)
        except (UpdateFinishedTrialError, RuntimeError):
            return
        if self._tell(trial.number, TrialState.FAIL) and LOST in marks:
            self._queue_again(self.trials()[trial.number])

    def _queue_again(self, trial: FrozenTrial) -> None:
        kept = {k: v for k, v in trial.user_attrs.items() if k in _KEPT}
        kept |= {FOLDER: model_folder(trial), AGAIN: trial.number}
        self.optuna.enqueue_trial(trial.params, user_attrs=kept)


def model_folder(trial: FrozenTrial | Trial) -> str:
    """The name of the folder of a trial's model; a trial that is tried again keeps it."""
    return str(trial.user_attrs.get(FOLDER, f"trial-{trial.number:04d}"))


def _clip(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
