"""Sharded runs: the same showers for any number of workers, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import (
    CaloforgeError,
    ConfigError,
    OutputError,
    ShowerError,
    SimulationError,
)
from caloforge.showers import Showers
from caloforge.store import ShowerDataset, open_showers
from caloforge.tasks import (
    Job,
    LocalWorkers,
    Progress,
    Shard,
    plan_shards,
)
from caloforge.tasks.parts import open_parts
from helpers import small_calorimeter
from task_jobs import Chatty, Dies, OwnError, Plain, Raises, Slow, Wrong, make
from task_runs import (
    IDENTITY,
    SHARDS,
    all_gone,
    content,
    interrupt_after,
    processes,
    run,
    wait_for,
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """What every run of SHARDS must give."""
    path = tmp_path_factory.mktemp("expected") / "out.h5"
    run(Plain(), path)
    return content(path)


# ---------------------------------------------------------------------------- the plan


@given(st.lists(st.floats(0, 1e6), max_size=60), st.floats(1e-3, 1e6), st.integers(1, 20))
def test_every_shower_is_in_one_shard(cost: list[float], target: float, most: int) -> None:
    shards = plan_shards(np.array(cost), target, most)
    assert [k for shard in shards for k in range(shard.start, shard.stop)] == [*range(len(cost))]
    assert [shard.number for shard in shards] == [*range(len(shards))]
    for shard in shards:
        assert 1 <= len(shard) <= most
        assert sum(cost[shard.start : shard.stop - 1]) < target
    for shard in shards[:-1]:
        assert len(shard) == most or sum(cost[shard.start : shard.stop]) >= target


@pytest.mark.parametrize("cost", [[np.nan], [-1.0], [np.inf], [[1.0]]])
def test_a_plan_needs_sensible_costs(cost: list[Any]) -> None:
    with pytest.raises(ConfigError, match="cost"):
        plan_shards(np.array(cost), 1.0)
    with pytest.raises(ConfigError, match="positive"):
        plan_shards(np.ones(3), 0.0)


# ------------------------------------------------------------------- the same content


def test_the_content_is_the_jobs(tmp_path: Path) -> None:
    result = run(Plain(), tmp_path / "out.h5")
    with open_showers(tmp_path / "out.h5") as reader:
        showers, provenance = reader.read(), reader.provenance
    wanted = make(Shard(0, 0, 18))
    assert np.array_equal(showers.energy, wanted.energy)
    assert np.array_equal(showers.incident.energy, wanted.incident.energy)
    assert provenance.step == "simulate"
    assert set(provenance.source) == {"engine", "seconds_per_shower"}
    assert provenance.source["seconds_per_shower"] == pytest.approx(result.seconds / 18, rel=0.1)
    assert (result.showers, result.resumed, result.shards, result.empty) == (18, 0, 6, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("workers", [2, 3])
def test_the_same_for_any_number_of_workers(
    tmp_path: Path, expected: tuple[Any, ...], workers: int
) -> None:
    run(Plain(), tmp_path / "out.h5", LocalWorkers(workers))
    assert content(tmp_path / "out.h5") == expected


def test_a_folder_of_shards(tmp_path: Path, expected: tuple[Any, ...]) -> None:
    output = tmp_path / "data"
    run(Plain(), output, LocalWorkers(2))
    assert content(output) == expected
    assert isinstance(open_showers(output), ShowerDataset)
    names = [f"shard-{k:05d}.h5" for k in range(6)]
    assert sorted(path.name for path in output.iterdir()) == ["index.json", *names]
    with open_showers(output / names[3]) as shard:
        assert shard.provenance.to_dict() == open_showers(output).provenance.to_dict()
    run(Plain(), output, shards=SHARDS[:2])  # an older result is replaced, not mixed
    assert len(open_showers(output)) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_chatty_library_disturbs_nothing(tmp_path: Path, expected: tuple[Any, ...]) -> None:
    run(Chatty(), tmp_path / "out.h5")
    assert content(tmp_path / "out.h5") == expected


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script, tmp_path, TESTS], check=True)
    assert len(open_showers(tmp_path / "out.h5")) == 18


TESTS = str(Path(__file__).parent)
SCRIPT = """
import sys, resource
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from task_jobs import Plain, Slow
from test_tasks import run, LocalWorkers
if "stuck" in sys.argv:
    run(Slow(folder / "pids", stuck_after=3), folder / "out.h5", LocalWorkers(2))
run(Plain(), folder / "out.h5", LocalWorkers(2))
"""


# ------------------------------------------------------------------------ what dies


@pytest.mark.parametrize("times", [1, 2])
def test_a_shard_whose_process_died_is_made_again(
    tmp_path: Path, expected: tuple[Any, ...], times: int
) -> None:
    run(Dies(tmp_path, times=times), tmp_path / "out.h5", LocalWorkers(2))
    assert len(list(tmp_path.glob("died-*"))) == times
    assert content(tmp_path / "out.h5") == expected


def test_a_process_that_always_dies(tmp_path: Path) -> None:
    with pytest.raises(SimulationError) as caught:
        run(Dies(tmp_path, signal.SIGABRT, times=99), tmp_path / "out.h5", LocalWorkers(2))
    message = str(caught.value)
    assert "showers 6 to 8: the worker process died 3 times (SIGABRT)" in message
    assert "G4Exception: the end is near; " in message  # and not where Python was by then
    assert "\n" not in message
    assert len(list(tmp_path.glob("died-*"))) == 3
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ConfigError("--range-cut: no"), ConfigError, "--range-cut: no"),
        (OwnError("my own"), CaloforgeError, "my own"),
        (ValueError("two\nlines"), SimulationError, "showers 3 to 5: ValueError: two lines (line"),
    ],
)
def test_what_the_job_raises_travels(
    tmp_path: Path, error: Exception, kind: type[Exception], text: str
) -> None:
    begin = time.monotonic()
    with pytest.raises(kind) as caught:
        run(Raises(error), tmp_path / "out.h5", LocalWorkers(2))
    assert type(caught.value) is kind
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)
    if kind is SimulationError:
        assert "Traceback" in "".join(caught.value.__notes__)
    assert time.monotonic() - begin < 30  # the other worker was not waited for
    assert list(tmp_path.iterdir()) == []  # nothing was finished: nothing is left to resume


def unpicklable(shard: Shard, advance: Any) -> Showers:
    return make(shard)


def test_a_job_that_cannot_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SimulationError, match="define it in a module"):
        run(lambda shard, advance: make(shard), tmp_path / "out.h5")
    monkeypatch.setattr(unpicklable, "__module__", "__main__")
    with pytest.raises(SimulationError, match="move it into a module"):
        run(unpicklable, tmp_path / "out.h5")


def test_a_job_that_a_worker_cannot_load(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"cannot be loaded .*ZeroDivisionError"):
        run(Unloadable(), tmp_path / "out.h5")


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return divmod, (1, 0)

    def __call__(self, shard: Shard, advance: Any) -> Showers:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("number", "returned 2 showers, not 3"),
        ("calorimeter", "calorimeter"),
        ("type", "returned str"),
        ("source", '\'engine\' is "another", other shards have "fake"'),
    ],
)
def test_wrong_showers_are_refused(tmp_path: Path, what: str, text: str) -> None:
    with pytest.raises(SimulationError) as caught:
        run(Wrong(what), tmp_path / "out.h5")
    assert "showers 3 to 5" in str(caught.value)
    assert text in str(caught.value)


# ------------------------------------------------------------------- going on again


@pytest.mark.parametrize("name", ["out.h5", "folder"])
def test_an_interrupted_run_goes_on(tmp_path: Path, expected: tuple[Any, ...], name: str) -> None:
    (tmp_path / "pids").mkdir()
    output = tmp_path / name
    with pytest.raises(KeyboardInterrupt):
        run(Slow(tmp_path / "pids"), output, LocalWorkers(2), progress=interrupt_after(9))
    assert all_gone(tmp_path / "pids")
    assert not output.exists()
    told: list[Progress] = []
    result = run(Plain(), output, LocalWorkers(2), progress=told.append)
    assert 0 < result.resumed < 18
    assert told[0].done == told[0].resumed == result.resumed
    assert content(output) == expected
    assert not (tmp_path / f"{name}.parts").exists()


def test_ctrl_c_while_all_workers_compute(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    job = Slow(tmp_path / "pids", stuck_after=0)

    def press() -> None:
        wait_for(lambda: len(processes(tmp_path / "pids")) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        run(job, tmp_path / "out.h5", LocalWorkers(2))
    presser.join()
    assert all_gone(tmp_path / "pids")
    assert [path.name for path in tmp_path.iterdir()] == ["pids"]


def test_a_killed_run_leaves_no_process_and_goes_on(
    tmp_path: Path, expected: tuple[Any, ...]
) -> None:
    (tmp_path / "pids").mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, script, tmp_path, TESTS, "stuck"])
    parts = tmp_path / "out.h5.parts"
    assert wait_for(lambda: len(list(parts.glob("shard-*.h5"))) == 3, 40)
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    assert all_gone(tmp_path / "pids")  # though no Python code can run in them
    assert run(Plain(), tmp_path / "out.h5").resumed == 9
    assert content(tmp_path / "out.h5") == expected


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"identity": {**IDENTITY, "seed": 2}}, "'identity.seed' was 1 and is now 2"),
        ({"identity": {"seed": 1, "engine": {"name": "x"}}}, "'identity.engine.name' was \"fake\""),
        ({"shards": SHARDS[:5]}, "'shards'"),
        ({"calorimeter": small_calorimeter()}, "'calorimeter'"),
    ],
)
def test_parts_of_another_plan_are_refused(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Plain(), tmp_path / "out.h5", progress=interrupt_after(1))
    with pytest.raises(OutputError) as caught:
        run(Plain(), tmp_path / "out.h5", **change)
    assert text in str(caught.value)
    assert "out.h5.parts" in str(caught.value)
    assert "delete that folder" in str(caught.value)


def test_foreign_and_damaged_parts_are_refused(tmp_path: Path) -> None:
    parts = tmp_path / "out.h5.parts"
    parts.mkdir()
    (parts / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"something else \(thesis.tex\)"):
        run(Plain(), tmp_path / "out.h5")
    (parts / "thesis.tex").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(Plain(), tmp_path / "out.h5", progress=interrupt_after(1))
    (parts / "plan.json").write_text("{")
    with pytest.raises(OutputError, match=r"plan.json: unreadable"):
        run(Plain(), tmp_path / "out.h5")


def test_two_runs_of_one_output(tmp_path: Path) -> None:
    with (
        open_parts(tmp_path / "out.h5", {}),
        pytest.raises(OutputError, match=f"another run is writing it .process {os.getpid()}"),
    ):
        run(Plain(), tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []


def test_damaged_shards_are_made_again(tmp_path: Path, expected: tuple[Any, ...]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Plain(), tmp_path / "out.h5", progress=interrupt_after(12))
    parts = tmp_path / "out.h5.parts"
    files = sorted(parts.glob("shard-*.h5"))
    files[0].write_bytes(files[0].read_bytes()[:700])
    files[1].write_bytes(files[1].read_bytes()[::-1])
    files[2].unlink()
    (parts / ".shard-00004.h5.1.partial").touch()
    result = run(Plain(), tmp_path / "out.h5")
    assert result.resumed == 3 * (len(files) - 3)
    assert content(tmp_path / "out.h5") == expected


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_tasks import LARGE, run
from caloforge.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    run(output=Path(sys.argv[1]), **LARGE)
except OutputError as error:
    print(error)
    sys.exit(7)
"""
_LARGE = small_calorimeter(n=15, layers=10)
LARGE: dict[str, Any] = {
    "job": Plain(_LARGE),
    "calorimeter": _LARGE,
    "shards": [Shard(0, 0, 2), Shard(1, 2, 42)],
}


def test_a_full_disk_can_be_emptied(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "out.h5"), TESTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "the disk is full" in done.stdout
    assert "Traceback" not in done.stderr
    names = sorted(path.name for path in (tmp_path / "out.h5.parts").iterdir())
    assert names == ["lock", "plan.json", "shard-00000.h5"]
    assert run(output=tmp_path / "out.h5", **LARGE).resumed == 2


def test_the_output_is_checked_before_any_work(tmp_path: Path) -> None:
    job = Raises(ValueError("work"))
    with pytest.raises(OutputError, match="mkdir -p"):
        run(job, tmp_path / "none" / "out.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        run(job, tmp_path / "folder.h5")
    (tmp_path / "folder.h5" / "thesis.tex").touch()
    (tmp_path / "folder.h5").rename(tmp_path / "folder")
    with pytest.raises(OutputError, match="other files"):
        run(job, tmp_path / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        run(job, tmp_path / "file")
    with pytest.raises(ShowerError, match="no showers to make"):
        run(job, tmp_path / "out.h5", shards=[])
    with pytest.raises(ConfigError, match="--workers 0"):
        LocalWorkers(0)


# ------------------------------------------------------------------------- progress


@pytest.mark.parametrize("job", ["slow", "dies"])
def test_progress_rises_to_the_end(tmp_path: Path, job: str) -> None:
    told: list[Progress] = []
    (tmp_path / "pids").mkdir()
    jobs: dict[str, Job] = {"slow": Slow(tmp_path / "pids", 0.06), "dies": Dies(tmp_path)}
    run(jobs[job], tmp_path / "out.h5", LocalWorkers(2), progress=told.append)
    done = [state.done for state in told]
    assert done == sorted(set(done))
    assert (done[0], done[-1]) == (0, 18)
    assert {(state.total, state.resumed, state.workers) for state in told} == {(18, 0, 2)}
    if job == "slow":
        assert len(told) > 7  # more than one per shard


def test_few_results_wait_in_memory(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    shards = [Shard(k, k, k + 1) for k in range(40)]
    begun: set[Shard] = set()
    job = Slow(tmp_path / "pids", 0.06)
    results = LocalWorkers(2).run(job, shards, lambda shard, _: begun.add(shard))
    next(results)
    time.sleep(0.5)  # enough for ten shards
    next(results)
    results.close()
    assert len(begun) <= 5
    assert all_gone(tmp_path / "pids")
