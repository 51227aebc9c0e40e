"""The study itself, with trials that need no training: choices, pruning, failures, resuming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from caloforge.config import Recipe, load_recipe
from caloforge.errors import ConfigError, OutputError, ShowerError, TrainingError
from caloforge.tune import HereCrew, Progress, Tuning, tune, watch
from caloforge.tune.loop import Loop
from caloforge.tune.sampler import LOST
from caloforge.tune.study import TuningStudy
from helpers import random_showers
from tune_cases import GAN, RATE, FakeCrew, bowl, failing, fake_judge, showers_file

__all__ = ["fake_judge", "showers_file"]  # fixtures

pytestmark = pytest.mark.usefixtures("fake_judge")

Numbers = list[tuple[dict[str, Any], list[float | None], str]]


def study(data: Path, folder: Path, crew: HereCrew, trials: int = 12, **options: Any) -> Tuning:
    """A study of 3DGAN's learning rate."""
    search: Sequence[str] = options.pop("search", [RATE])
    recipe = options.pop("recipe", GAN)
    return tune(recipe, data, folder, trials=trials, search=search, crew=crew, **options)


def numbers(tuning: Tuning) -> Numbers:
    return [(row.params, row.values, row.state) for row in tuning.results.trials]


def test_trial_0_is_the_recipe_and_30_trials_beat_it(showers_file: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    done = study(
        showers_file, tmp_path / "s", FakeCrew(), 30, objective="fpd", progress=told.append
    )
    first, best = done.results.trials[0], done.best[0]
    assert first.default
    assert first.params == {"model.learning_rate": 1e-3}
    assert first.values == [pytest.approx(2.0)]  # a decade off, at the whole budget
    assert best.values[0] is not None
    assert best.values[0] < 1.1
    assert abs(np.log10(float(best.params["model.learning_rate"])) + 4) < 0.3
    assert [each.done for each in told] == list(range(31))
    assert told[-1].best == best.values[0]
    recipe = load_recipe(tmp_path / "s" / "best.yaml")
    assert recipe.settings["learning_rate"] == best.params["model.learning_rate"]
    assert "trial 0" not in done.summary
    assert "Better by" in done.summary


def test_hopeless_trials_are_given_up_early_but_never_the_recipe_as_it_is(
    showers_file: Path, tmp_path: Path
) -> None:
    crew = FakeCrew()
    done = study(showers_file, tmp_path / "s", crew, 14)
    pruned = [row for row in done.results.trials if row.state == "pruned"]
    complete = [row for row in done.results.trials if row.state == "complete"]
    assert len(pruned) >= 2
    assert all(100 not in row.stages and row.stages for row in pruned)
    assert all(list(row.stages) == [25, 50] for row in complete)
    early = {row.number: min(row.stages.values()) for row in complete}
    assert min(min(row.stages.values()) for row in pruned) > np.median(list(early.values())) - 0.5
    shares = [task.share for task in crew.tasks if task.trial == complete[0].number]
    assert shares == [0.25, 0.5, 1.0]
    seconds = [task.seconds for task in crew.tasks if task.trial == complete[0].number]
    assert seconds == [0.0, 15.0, 30.0]
    worst = FakeCrew(lambda recipe, share: [-v for v in bowl(recipe, share) if v is not None])
    bad = study(showers_file, tmp_path / "b", worst, 7)  # 1e-3 is nearly the worst now
    assert bad.results.trials[0].state == "complete"
    whole = FakeCrew()
    study(showers_file, tmp_path / "w", whole, 2, pruning=False)
    assert {task.share for task in whole.tasks} == {1.0}


def test_an_interrupted_study_goes_on_as_if_nothing_had_happened(
    showers_file: Path, tmp_path: Path
) -> None:
    """Interrupted twice in the middle of a trial: the same trials as in one go."""
    whole = study(showers_file, tmp_path / "whole", FakeCrew(), 9)
    folder = tmp_path / "parts"
    for stop_after in (8, 13):
        with pytest.raises(KeyboardInterrupt):
            study(showers_file, folder, FakeCrew(stop_after=stop_after), 9)
    last = FakeCrew()
    parts = study(showers_file, folder, last, 9)
    assert numbers(parts) == numbers(whole)
    assert parts.results.lost == 2
    assert len(last.tasks) < 18
    again = FakeCrew()
    assert numbers(study(showers_file, folder, again, 9)) == numbers(whole)
    assert again.tasks == []
    more = FakeCrew()
    assert numbers(study(showers_file, folder, more, 11))[:9] == numbers(whole)
    assert len(more.tried) == 2


def test_a_retried_trial_skips_the_stages_that_are_done(showers_file: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(showers_file, tmp_path / "s", FakeCrew(stop_after=2), 1)  # in the last stage of 0
    crew = FakeCrew()
    done = study(showers_file, tmp_path / "s", crew, 1)
    assert [(task.share, task.seconds) for task in crew.tasks] == [(1.0, 30.0)]
    assert crew.tasks[0].folder.name == "trial-0000"
    assert done.results.trials[0].default
    assert done.results.trials[0].stages == {25: pytest.approx(2.75), 50: pytest.approx(2.5)}


def test_a_failing_trial_is_recorded_and_the_study_goes_on(
    showers_file: Path, tmp_path: Path
) -> None:
    figures = failing(TrainingError("step 3: loss is nan"), lambda rate: rate > 1e-3)
    done = study(showers_file, tmp_path / "s", FakeCrew(figures), 12)
    failed = [row for row in done.results.trials if row.state == "failed"]
    assert failed
    assert {row.reason for row in failed} == {"step 3: loss is nan"}
    assert len(done.results.trials) == 12
    assert "loss is nan" in (tmp_path / "s" / "index.html").read_text()
    nothing = FakeCrew(lambda recipe, share: [None])
    done = study(showers_file, tmp_path / "n", nothing, 2, objective="fpd")
    assert [row.state for row in done.results.trials] == ["failed", "failed"]
    assert "fpd cannot be computed" in done.results.trials[0].reason
    assert done.recipes == []
    assert "no best recipe" in done.summary


def test_a_recipe_that_cannot_be_tried_stops_the_study(showers_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    wrong = failing(ConfigError("training.batch_size 128 exceeds the 9"), lambda _: True)
    with pytest.raises(ConfigError, match="as it is cannot be tried.*batch_size"):
        study(showers_file, folder, FakeCrew(wrong), 3)
    mended = Recipe(model={"kind": "3dgan", "label_flips": 0.1})
    assert len(study(showers_file, folder, FakeCrew(), 3, recipe=mended).results.trials) == 3


def test_a_full_disk_stops_the_study_and_loses_nothing(showers_file: Path, tmp_path: Path) -> None:
    full = failing(OutputError("the disk is full"), lambda rate: rate != 1e-3)
    with pytest.raises(OutputError, match="disk is full"):
        study(showers_file, tmp_path / "s", FakeCrew(full), 3)
    done = study(showers_file, tmp_path / "s", FakeCrew(), 3)
    assert [row.state for row in done.results.trials] == ["complete"] * 3
    assert done.results.lost == 1


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"search": ["model.learning_rate=log:1e-6:1e-1"]}, "search"),
        ({"recipe": Recipe(model={"kind": "3dgan", "label_flips": 0.1})}, "recipe"),
        ({"objective": "fpd"}, "objectives"),
        ({"max_steps": 7}, "budget"),
    ],
)
def test_another_study_is_refused(
    showers_file: Path, tmp_path: Path, options: dict[str, Any], key: str
) -> None:
    study(showers_file, tmp_path / "s", FakeCrew(), 2)
    with pytest.raises(OutputError, match=f"another one: {key} was"):
        study(showers_file, tmp_path / "s", FakeCrew(), 2, **options)
    with pytest.raises(OutputError, match="seed was 0, is now 1"):
        study(showers_file, tmp_path / "s", FakeCrew(), 2, seed=1)


def test_the_same_recipe_is_not_trained_twice(showers_file: Path, tmp_path: Path) -> None:
    crew = FakeCrew(lambda recipe, share: [float(recipe.settings.get("neighbours", 10))])
    done = study(
        showers_file,
        tmp_path / "s",
        crew,
        9,
        recipe=Recipe(model={"kind": "library"}),
        search=["model.neighbours=int:8:10"],
    )
    assert len(crew.tasks) == 3
    assert len(done.results.trials) == 9
    copies = [row for row in done.results.trials if row.same_as is not None]
    assert len(copies) == 6
    for row in copies:
        assert row.same_as is not None
        assert row.values == done.results.row(row.same_as).values
    assert done.best[0].params == {"model.neighbours": 8}
    assert done.best[0].same_as is None


def two(recipe: Recipe, share: float) -> list[float | None]:
    """Quality against time: the more flips the quicker and the worse."""
    flips = float(recipe.settings.get("label_flips", 0.05))
    return [flips, 1.0 - flips if flips < 0.3 else 2.0]


def test_several_objectives_make_a_pareto_front(showers_file: Path, tmp_path: Path) -> None:
    crew = FakeCrew(two)
    done = study(
        showers_file,
        tmp_path / "s",
        crew,
        16,
        search=["model.label_flips=0.0:0.4"],
        objective=["fpd", "generation_ms"],
    )
    assert {task.share for task in crew.tasks} == {1.0}
    rows = done.results.trials
    for row in done.best:  # worked out anew: nobody beats them, and everybody else is beaten
        assert not any(beats(other.values, row.values) for other in rows)
    for row in rows:
        if row.number not in done.results.best:
            assert any(beats(other.values, row.values) for other in rows)
    assert len(done.best) >= 3
    files = sorted(path.name for path in (tmp_path / "s").glob("*.yaml"))
    assert files == [f"best-{number:04d}.yaml" for number in sorted(done.results.best)]
    said = json.loads((tmp_path / "s" / "tune.json").read_text())
    assert said["best"] == done.results.best
    assert set(said["importances"]) == {"fpd", "generation_ms"}


def beats(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    a, b = np.array(one, float), np.array(other, float)
    return bool(np.all(a <= b) and np.any(a < b))


def test_a_larger_figure_may_be_better(showers_file: Path, tmp_path: Path) -> None:
    crew = FakeCrew(lambda recipe, share: [-v for v in bowl(recipe, share) if v is not None])
    done = study(showers_file, tmp_path / "s", crew, 10, objective="diversity.ratio:max")
    complete = [row.values[0] for row in done.results.trials if row.state == "complete"]
    assert done.best[0].values[0] == max(value for value in complete if value is not None)


@pytest.mark.parametrize("keep", ["best", "all", "none"])
def test_only_the_models_that_are_wanted_stay(
    showers_file: Path, tmp_path: Path, keep: Any
) -> None:
    class Writing(FakeCrew):
        def _fake(self, shard: Any, advance: Any) -> Any:
            shard.folder.mkdir(parents=True, exist_ok=True)
            return super()._fake(shard, advance)

    done = study(showers_file, tmp_path / "s", Writing(), 8, keep=keep)
    left = sorted(path.name for path in (tmp_path / "s" / "models").iterdir())
    every = [f"trial-{number:04d}" for number in range(8)]
    best = f"trial-{done.results.best[0]:04d}"
    assert left == {"best": [best], "all": every, "none": []}[keep]
    assert [path.name for path in done.models] == ([] if keep == "none" else [best])


def test_two_runners_share_a_storage(
    showers_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial of a runner that is gone is done by the other once it has been silent."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    lost: list[Any] = []
    with monkeypatch.context() as patch:  # killed: nothing is tidied up
        patch.setattr(TuningStudy, "lose", lambda *args, **_: lost.append(args))
        with pytest.raises(KeyboardInterrupt):
            study(showers_file, tmp_path / "a", FakeCrew(stop_after=4), 6, storage=url)
    assert len(lost) == 1
    monkeypatch.setattr(watch, "SILENCE", 0.0)
    monkeypatch.setattr(watch, "BEAT", 0.0)
    crew = FakeCrew()
    done = study(showers_file, tmp_path / "b", crew, 6, storage=url)
    assert len(done.results.trials) == 6
    assert done.results.lost == 1
    assert all(row.state in ("complete", "pruned") for row in done.results.trials)
    other = study(showers_file, tmp_path / "a", FakeCrew(), 6, storage=url)
    assert numbers(other) == numbers(done)


def test_a_killed_run_leaves_its_trial_to_the_next(
    showers_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study(showers_file, tmp_path / "whole", FakeCrew(), 6)
    with monkeypatch.context() as patch:
        patch.setattr(TuningStudy, "lose", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            study(showers_file, tmp_path / "s", FakeCrew(stop_after=4), 6)
    with monkeypatch.context() as patch:  # and killed before the new trial is signed
        patch.setattr(optuna.Trial, "set_user_attr", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study(showers_file, tmp_path / "s", FakeCrew(), 6)
    with monkeypatch.context() as patch:  # and killed again, before the lost trial is queued
        patch.setattr(TuningStudy, "_queue_again", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study(showers_file, tmp_path / "s", FakeCrew(), 6)
    assert numbers(study(showers_file, tmp_path / "s", FakeCrew(), 6)) == numbers(whole)


def test_a_trial_that_kills_its_runner_is_given_up_at_last(
    showers_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(Loop, "_take", lambda *_: 1 / 0)
            patch.setattr(Loop, "_release", lambda *_: None)
            with pytest.raises(ZeroDivisionError):
                study(showers_file, tmp_path / "s", FakeCrew(), 3)
    done = study(showers_file, tmp_path / "s", FakeCrew(), 3)
    assert [row.state for row in done.results.trials] == ["failed", "complete", "complete"]
    assert "again and again" in done.results.trials[0].reason
    assert "the recipe as it is failed" in done.summary


def test_a_journal_does_as_well(showers_file: Path, tmp_path: Path) -> None:
    whole = study(showers_file, tmp_path / "a", FakeCrew(), 6)
    url = f"journal:{tmp_path / 'study.log'}"
    with pytest.raises(KeyboardInterrupt):
        study(showers_file, tmp_path / "b", FakeCrew(stop_after=5), 6, storage=url)
    assert numbers(study(showers_file, tmp_path / "b", FakeCrew(), 6, storage=url)) == numbers(
        whole
    )


def test_a_storage_that_is_not_there_is_one_error_without_the_password(
    showers_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    for url, kind in [
        ("oracle", ConfigError),
        ("nosuch://me:secret@host/db", ConfigError),
        (f"sqlite:///{tmp_path / 'no' / 'study.db'}", OutputError),
        (f"sqlite:///{tmp_path / 'text.db'}", OutputError),
        (f"journal:{tmp_path / 'no' / 'study.log'}", OutputError),
    ]:
        with pytest.raises(kind, match="--storage") as caught:
            study(showers_file, tmp_path / "s", FakeCrew(), 2, storage=url)
        assert "secret" not in str(caught.value)
        assert not (tmp_path / "s").exists()


def test_one_run_at_a_time_and_only_in_its_own_folder(showers_file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        study(showers_file, tmp_path / "full", FakeCrew(), 2)

    def inside(recipe: Recipe, share: float) -> list[float | None]:
        with pytest.raises(OutputError, match="another run"):
            study(showers_file, tmp_path / "s", FakeCrew(), 2)
        return [1.0]

    assert len(study(showers_file, tmp_path / "s", FakeCrew(inside), 1).results.trials) == 1


def test_optuna_reads_the_study(showers_file: Path, tmp_path: Path) -> None:
    """Nothing of ours is needed to look at it with Optuna's own tools."""
    done = study(showers_file, tmp_path / "s", FakeCrew(), 5)
    known = optuna.load_study(
        study_name="caloforge", storage=f"sqlite:///{tmp_path / 's' / 'study.db'}"
    )
    assert known.best_trial.number == done.results.best[0]
    assert known.best_value == done.best[0].values[0]
    assert not any(LOST in trial.user_attrs for trial in known.trials)


def test_bad_options(showers_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--trials 0"):
        study(showers_file, tmp_path / "s", FakeCrew(), 0)
    with pytest.raises(ConfigError, match="overrides"):
        study(showers_file, tmp_path / "s", FakeCrew(), 1, overrides=["training.epochs=1"])
    with pytest.raises(ShowerError):
        from caloforge.store import write_showers

        write_showers(tmp_path / "one.h5", random_showers(1))
        study(tmp_path / "one.h5", tmp_path / "s", FakeCrew(), 1)
