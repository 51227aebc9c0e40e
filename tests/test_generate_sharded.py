"""Generation in shards: any workers, kills and resumes leave the same file content."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.api import train
from caloforge.beam import particles
from caloforge.cli.entry import run
from caloforge.errors import CaloforgeWarning, ConfigError, OutputError
from caloforge.generate import generate_sharded, generate_to_store, open_engine
from caloforge.generate import sharded as module
from caloforge.showers import Showers
from caloforge.store import open_showers, write_showers
from caloforge.tasks import DaskCluster, Executor, InProcess, LocalWorkers
from helpers import local_dask, random_showers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    data = write_showers(folder / "train.h5", random_showers(40))
    return train("library", data, folder / "model", overrides=["detector=null"])


@pytest.fixture
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_SHOWERS", (7, 7))


def made(model: Path, output: Path, executor: Executor, n: int = 50, **more: Any) -> Showers:
    incident = particles(n, "20:80", particle="e-", seed=3)
    done = generate_sharded(
        open_engine(model), model, incident, output, executor=executor, seed=3, **more
    )
    assert done.showers == n
    with open_showers(output) as reader:
        return reader.read()


def same(a: Showers, b: Showers) -> bool:
    return (
        np.array_equal(a.offset, b.offset)
        and np.array_equal(a.cell, b.cell)
        and np.array_equal(a.energy, b.energy)
        and np.array_equal(a.incident.energy, b.incident.energy)
    )


@pytest.mark.usefixtures("_small_shards")
def test_workers_make_the_file_of_one_process(model: Path, tmp_path: Path) -> None:
    incident = particles(50, "20:80", particle="e-", seed=3)
    generate_to_store(open_engine(model), incident, tmp_path / "plain.h5", seed=3)
    plain = open_showers(tmp_path / "plain.h5").read()
    assert same(plain, made(model, tmp_path / "one.h5", InProcess()))
    assert same(plain, made(model, tmp_path / "two.h5", LocalWorkers(2), batch_size=3))
    assert same(plain, made(model, tmp_path / "folder", InProcess()))
    assert len(list((tmp_path / "folder").glob("shard-*.h5"))) == 8
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.usefixtures("_small_shards")
def test_dask_makes_the_file_of_one_process(model: Path, tmp_path: Path) -> None:
    plain = made(model, tmp_path / "one.h5", InProcess())
    with local_dask(2) as cluster:
        found = made(model, tmp_path / "dask.h5", DaskCluster(cluster.scheduler_address))
    assert same(plain, found)


@pytest.mark.usefixtures("_small_shards")
def test_an_interrupted_run_goes_on(model: Path, tmp_path: Path) -> None:
    """Ctrl-C after three shards; the next run makes the other five."""
    seen = []

    def interrupt(progress: Any) -> None:
        seen.append(progress.done)
        if progress.done >= 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(model, tmp_path / "g.h5", InProcess(), progress=interrupt)
    assert not (tmp_path / "g.h5").exists()
    kept = len(list((tmp_path / "g.h5.parts").glob("shard-*.h5")))
    assert 1 <= kept < 8
    incident = particles(50, "20:80", particle="e-", seed=3)
    done = generate_sharded(
        open_engine(model), model, incident, tmp_path / "g.h5", executor=InProcess(), seed=3
    )
    assert done.resumed == 7 * kept
    whole = made(model, tmp_path / "whole.h5", InProcess())
    assert same(whole, open_showers(tmp_path / "g.h5").read())


@pytest.mark.usefixtures("_small_shards")
def test_parts_of_another_seed_are_not_mixed_in(model: Path, tmp_path: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.done >= 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(model, tmp_path / "g.h5", InProcess(), progress=stop)
    incident = particles(50, "20:80", particle="e-", seed=3)
    with pytest.raises(OutputError, match="'identity.seed' was 3 and is now 4"):
        generate_sharded(
            open_engine(model), model, incident, tmp_path / "g.h5", executor=InProcess(), seed=4
        )


def test_a_killed_command_goes_on(model: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the run, as a batch system does it."""
    asked = [str(model), "--energy", "20:80", "-n", "20000", "--seed", "3"]
    command = [sys.executable, "-m", "caloforge", "generate", *asked]
    process = subprocess.Popen([*command, "-o", str(tmp_path / "g.h5"), "-q"])
    parts = tmp_path / "g.h5.parts"
    end = time.monotonic() + 120
    while not list(parts.glob("shard-*.h5")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run(["generate", *asked, "-o", str(tmp_path / "g.h5"), "-q"]) == 0
    assert run(["generate", *asked, "-o", str(tmp_path / "whole.h5"), "-q"]) == 0
    resumed, whole = (open_showers(tmp_path / f"{name}.h5").read() for name in ("g", "whole"))
    assert same(resumed, whole)
    assert not parts.exists()


def test_the_file_says_how_it_was_made(model: Path, tmp_path: Path) -> None:
    made(model, tmp_path / "g.h5", InProcess(), n=3, config={"energy": "20:80", "theta": None})
    with open_showers(tmp_path / "g.h5") as reader:
        said = reader.provenance
    assert (said.step, said.seed) == ("generate", 3)
    assert dict(said.config)["energy"] == "20:80"
    assert "theta" not in said.config
    assert said.source["generation_ms"] > 0
    assert said.parents[0]["step"] == "train"
    assert len(next(iter(said.inputs.values()))) == 64


@pytest.mark.usefixtures("_small_shards")
def test_one_warning_for_all_shards(model: Path, tmp_path: Path) -> None:
    incident = particles(30, "300:500", particle="e-", seed=3)
    with pytest.warns(CaloforgeWarning) as caught:
        generate_sharded(
            open_engine(model), model, incident, tmp_path / "g.h5", executor=InProcess()
        )
    assert len(caught) == 1
    assert "30 of 30 showers" in str(caught[0].message)


def test_nobody_makes_no_file(model: Path, tmp_path: Path) -> None:
    nobody = particles(1, 50).take(slice(0, 0))
    with pytest.raises(ConfigError, match="no particles"):
        generate_sharded(open_engine(model), model, nobody, tmp_path / "g.h5", executor=InProcess())
    assert not list(tmp_path.iterdir())
