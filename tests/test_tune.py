"""Tuning with real trainings: the showers, the figures, processes, kills."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.api import load_model, train
from caloforge.beam import like
from caloforge.cli.entry import run
from caloforge.config import Recipe, load_recipe
from caloforge.conversion import convert
from caloforge.errors import GeometryError, OutputError, ShowerError
from caloforge.showers import Showers
from caloforge.store import open_showers, write_showers
from caloforge.transform import Split, fingerprint
from caloforge.tune import DaskCrew, HereCrew, LocalCrew, tune
from caloforge.tune.crew import Done
from caloforge.tune.data import prepare_data
from caloforge.tune.objective import Objective
from caloforge.tune.trial import Budget, TrialJob, TrialTask, outcome
from caloforge.validate import validate
from helpers import SAMPLES, lcd_showers, local_dask, random_showers, small_calorimeter
from tune_cases import showers_file

__all__ = ["showers_file"]  # a fixture

LIBRARY = Recipe(model={"kind": "library"})
NEIGHBOURS = "model.neighbours=int:1:12"
HITS = Objective("separation.hits", parts=("separation.hits",))


def rows(*paths: Path) -> list[int]:
    return [int(x) for path in paths for x in fingerprint(open_showers(path).read())]


def test_every_shower_is_in_one_part(showers_file: Path, tmp_path: Path) -> None:
    data = prepare_data(tmp_path, [showers_file], None, recipe=LIBRARY, seed=3)
    train_rows, judge_rows = rows(*data.train), rows(data.validation)
    assert sorted([*train_rows, *judge_rows]) == sorted(rows(showers_file))
    assert not set(train_rows) & set(judge_rows)
    assert data.facts["common"] == 0
    assert data.facts["validation"]["showers"] == len(judge_rows)
    assert 20 <= len(judge_rows) <= 60  # a fifth of 200
    again = prepare_data(tmp_path, [showers_file], None, recipe=LIBRARY, seed=3)
    assert again == data


def test_the_parts_do_not_depend_on_the_files(showers_file: Path, tmp_path: Path) -> None:
    showers = open_showers(showers_file).read()
    order = np.random.default_rng(1).permutation(len(showers))
    files = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, part in zip(files, (order[:50], order[50:]), strict=True):
        write_showers(path, showers[part])
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = prepare_data(tmp_path / "one", [showers_file], None, recipe=LIBRARY, seed=0)
    two = prepare_data(tmp_path / "two", files, None, recipe=LIBRARY, seed=0)
    assert one.identity == two.identity
    assert sorted(rows(one.validation)) == sorted(rows(two.validation))


def test_a_given_validation_part_must_be_others(showers_file: Path, tmp_path: Path) -> None:
    convert(showers_file, tmp_path / "all.h5", split=Split({"train": 0.7, "validation": 0.3}))
    parts = [tmp_path / "all-train.h5"]
    (tmp_path / "s").mkdir()
    judge = tmp_path / "all-validation.h5"
    data = prepare_data(tmp_path / "s", parts, judge, recipe=LIBRARY, seed=0)
    assert data.validation == judge
    assert data.train == tuple(parts)
    showers = open_showers(judge).read()
    mixed = write_showers(
        tmp_path / "mixed.h5", Showers.concatenate([showers, open_showers(parts[0]).read(0, 2)])
    )
    (tmp_path / "t").mkdir()
    with pytest.raises(ShowerError, match=r"mixed\.h5: 2 of its showers are in the training data"):
        prepare_data(tmp_path / "t", parts, mixed, recipe=LIBRARY, seed=0)
    with pytest.raises(OutputError, match="other showers"):
        prepare_data(tmp_path / "s", parts, mixed, recipe=LIBRARY, seed=0)


def test_test_showers_and_other_detectors_are_refused(showers_file: Path, tmp_path: Path) -> None:
    convert(showers_file, tmp_path / "all.h5", split=Split.parse("train=0.6,val=0.2,test=0.2"))
    test = tmp_path / "all-test.h5"
    for data, judge in (([test], None), ([tmp_path / "all-train.h5"], test)):
        with pytest.raises(ShowerError, match=r"all-test\.h5: is the part 'test'"):
            prepare_data(tmp_path, data, judge, recipe=LIBRARY, seed=0)
    other = write_showers(tmp_path / "o.h5", random_showers(9, small_calorimeter("other", n=3)))
    with pytest.raises(GeometryError, match=r"o\.h5"):
        prepare_data(tmp_path, [showers_file, other], None, recipe=LIBRARY, seed=0)
    with pytest.raises(GeometryError, match=r"showers\.h5"):
        prepare_data(tmp_path, [showers_file], None, recipe=load_recipe("3dgan"), seed=0)
    assert not (tmp_path / "data").exists()


def test_the_figures_of_a_trial_are_those_of_the_commands(
    showers_file: Path, tmp_path: Path
) -> None:
    """Train, generate like the validation part and validate by hand: the same number."""
    done = tune(
        LIBRARY,
        showers_file,
        tmp_path / "s",
        trials=4,
        search=[NEIGHBOURS],
        objective=["separation.hits", "generation_ms"],
        keep="all",
        crew=HereCrew(),
    )
    judge = tmp_path / "s" / "data" / "showers-validation.h5"
    part = tmp_path / "s" / "data" / "showers-train.h5"
    for row in done.results.trials:
        settings = [f"model.neighbours={row.params['model.neighbours']}"]
        model = train("library", part, tmp_path / f"m{row.number}", overrides=settings)
        generated = load_model(model).generate(incident=like(judge, None, ["energy"]), seed=0)
        metrics = validate(judge, generated, classifiers=False, quick=True).metrics
        assert row.values[0] == metrics["separation"]["hits"]
        assert row.errors[0] == metrics["errors"]["separation"]["hits"]
        assert row.values[1] is not None
        assert row.values[1] > 0
    best = done.recipes[0]
    assert train(best, part, tmp_path / "best").is_dir()
    for path in done.models:
        assert (path / "artifact.json").exists()
        assert not (path / "generated.h5").exists()


def test_the_report_shows_everything(showers_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    done = tune(LIBRARY, showers_file, folder, trials=5, search=[NEIGHBOURS], crew=HereCrew())
    page = (folder / "index.html").read_text()
    for text in (done.summary.partition(". ")[2], "model.neighbours", "best.yaml", "floor"):
        assert text in page
    assert page.count("data:image/png") == 3
    assert {path.stem for path in (folder / "figures").glob("*.pdf")} == {
        "history",
        "importances",
        "slices",
    }
    said = json.loads((folder / "tune.json").read_text())
    assert said["counts"]["complete"] == 5
    assert said["default"] == 0
    assert said["data"]["common"] == 0
    assert said["objectives"][0]["floor"] > 0
    assert len(said["objectives"][0]["mean_of"]) >= 8
    assert said["importances"]["separation"] == {"model.neighbours": pytest.approx(1.0)}
    assert f"# {'Found by caloforge tune'}" in (folder / "best.yaml").read_text()


def test_stages_are_bit_for_bit_one_training(tmp_path: Path) -> None:
    """A 3DGAN trained in stages, killed in between, is the one trained in one go."""
    part = write_showers(tmp_path / "train.h5", lcd_showers(8))
    judge = write_showers(tmp_path / "judge.h5", lcd_showers(5, seed=1))
    recipe = Recipe.model_validate(
        {"model": {"kind": "3dgan"}, "training": {"batch_size": 2, "epochs": 1}}
    )
    whole = load_file(train(recipe, part, tmp_path / "whole") / "weights.safetensors")
    job = TrialJob((part,), judge, (HITS,), Budget(), seed=0)

    def task(share: float) -> TrialTask:
        return TrialTask(0, 0, 0, recipe=recipe, folder=tmp_path / "trial", share=share)

    first = outcome(job(task(0.5), lambda _: None))
    last = outcome(job(task(1.0), lambda _: None))
    assert (first.steps, last.steps) == (2, 4)
    assert last.seconds >= first.seconds
    staged = load_file(tmp_path / "trial" / "weights.safetensors")
    assert all(torch.equal(staged[name], whole[name]) for name in whole)
    early = outcome(job(task(0.25), lambda _: None))  # its checkpoint is further: begin anew
    assert early.steps == 1
    quick = TrialJob((part,), judge, (HITS,), Budget(max_steps=1), seed=0)
    assert outcome(quick(task(1.0), lambda _: None)).steps == 1
    timed = TrialJob((part,), judge, (HITS,), Budget(max_minutes=1e-9), seed=0)
    assert outcome(timed(task(1.0), lambda _: None)).steps < 4


def finished(database: Path) -> int:
    """Trials that a study of another process has finished."""
    if not database.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            query = "SELECT COUNT(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def children(pid: int) -> list[int]:
    lists = Path("/proc").glob(f"{pid}/task/*/children")
    return [int(word) for path in lists for word in path.read_text().split()]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def start(words: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "caloforge", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait(true: Callable[[], Any], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_study_resumes(
    showers_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 in the middle of a trial: finished ones stay, no process is left."""
    folder = tmp_path / "s"
    words = ["tune", "library", "--data", str(showers_file), "-o", str(folder)]
    words += ["--search", "model.neighbours=int:1:99", "--trials"]
    with start([*words, "50"]) as process:
        wait(lambda: finished(folder / "study.db") or process.poll() is not None)
        workers = children(process.pid)
        process.kill()
    assert workers
    wait(lambda: all(map(gone, workers)))
    done = finished(folder / "study.db")
    assert 1 <= done < 50
    assert run([*words, str(done + 1), "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["counts"]["complete"] == done + 1
    assert said["counts"]["failed"] == 0
    assert said["counts"]["lost"] <= 1


def test_ctrl_c_is_one_line_and_leaves_no_process(showers_file: Path, tmp_path: Path) -> None:
    words = ["tune", "library", "--data", str(showers_file), "-o", str(tmp_path / "s")]
    with start([*words, "--search", "model.neighbours=5|10", "--trials", "50"]) as process:
        wait(lambda: children(process.pid) or process.poll() is not None)
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.startswith("caloforge: interrupted")
    assert said.count("\n") == 1
    assert workers
    wait(lambda: all(map(gone, workers)))


def values(folder: Path, data: Path, crew: Any, trials: int = 5) -> dict[int, Any]:
    done = tune(LIBRARY, data, folder, trials=trials, search=[NEIGHBOURS], crew=crew)
    assert done.results.count("complete") == trials
    return {int(row.params["model.neighbours"]): row.values for row in done.results.trials}


def test_processes_and_dask_give_the_same_figures(showers_file: Path, tmp_path: Path) -> None:
    with local_dask(1) as cluster:
        dask = values(tmp_path / "dask", showers_file, DaskCrew(cluster.scheduler_address), 2)
    local = values(tmp_path / "local", showers_file, LocalCrew(2), 2)
    assert local[10] == dask[10]  # the recipe as it is


def test_no_shower_with_a_damaged_file(tmp_path: Path) -> None:
    """A trial's error that would be every trial's stops the study."""
    path = write_showers(tmp_path / "a.h5", random_showers(60))

    class Damaging(HereCrew):
        def next(self, timeout: float) -> Done | None:
            part = tmp_path / "s" / "data" / "showers-train.h5"
            part.write_bytes(part.read_bytes()[:900])
            return super().next(timeout)

    with pytest.raises(Exception, match=r"showers-train\.h5"):
        values(tmp_path / "s", path, Damaging())


def test_the_bundled_electrons_can_be_tuned(tmp_path: Path) -> None:
    """The library's one value, on real showers: nothing is lost against the recipe as it is."""
    convert(SAMPLES / "electrons_train.h5", tmp_path / "e.h5", limit=300)
    done = tune(
        "library",
        tmp_path / "e.h5",
        tmp_path / "s",
        trials=3,
        search=["model.neighbours=int:1:40"],
        objective="separation.layer_energy",
        crew=HereCrew(),
    )
    default = done.results.default
    assert default is not None
    assert done.best[0].values[0] is not None
    assert default.values[0] is not None
    assert done.best[0].values[0] <= default.values[0]
