"""Sharded runs on a dask cluster: the same showers, whatever dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import ConfigError, SimulationError
from caloforge.tasks import DaskCluster, LocalWorkers, Progress
from helpers import local_dask
from task_jobs import Dies, Plain, Raises, Slow
from task_runs import all_gone, content, interrupt_after, processes, run


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """What every run of SHARDS must give."""
    path = tmp_path_factory.mktemp("expected") / "out.h5"
    run(Plain(), path)
    return content(path)


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    threads = os.environ.get("OMP_NUM_THREADS")
    with local_dask(2) as running:
        yield running
    assert os.environ.get("OMP_NUM_THREADS") == threads


@pytest.fixture
def cluster(dask_cluster: Any) -> str:
    """The address of a dask cluster with two workers."""
    dask_cluster.wait_for_workers(2, timeout=20)
    return str(dask_cluster.scheduler_address)


def test_dask_gives_the_same(tmp_path: Path, expected: tuple[Any, ...], cluster: str) -> None:
    (tmp_path / "pids").mkdir()
    told: list[Progress] = []
    run(Slow(tmp_path / "pids"), tmp_path / "out.h5", DaskCluster(cluster), progress=told.append)
    assert content(tmp_path / "out.h5") == expected
    assert [state.done for state in told] == [*range(0, 19, 3)]
    assert told[-1].workers == 2
    assert len(processes(tmp_path / "pids")) <= 2  # kept from shard to shard
    assert all_gone(tmp_path / "pids")  # and not longer


@pytest.mark.parametrize("parent", [True, False])
def test_dask_survives_the_death_of_a_worker(
    tmp_path: Path, expected: tuple[Any, ...], cluster: str, parent: bool
) -> None:
    run(Dies(tmp_path, parent=parent), tmp_path / "out.h5", DaskCluster(cluster))
    assert len(list(tmp_path.glob("died-*"))) == 1
    assert content(tmp_path / "out.h5") == expected


def test_dask_stops_at_an_error_and_goes_on_elsewhere(
    tmp_path: Path, expected: tuple[Any, ...], cluster: str
) -> None:
    with pytest.raises(ConfigError, match="no such thing"):
        run(Raises(ConfigError("no such thing")), tmp_path / "out.h5", DaskCluster(cluster))
    (tmp_path / "pids").mkdir()
    with pytest.raises(KeyboardInterrupt):
        run(
            Slow(tmp_path / "pids", stuck_after=1),
            tmp_path / "out.h5",
            DaskCluster(cluster),
            progress=interrupt_after(3),
        )
    assert all_gone(tmp_path / "pids")
    assert run(Plain(), tmp_path / "out.h5", LocalWorkers(2)).resumed == 3
    assert content(tmp_path / "out.h5") == expected


def test_dask_workers_of_another_version(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caloforge.tasks.cluster.__version__", "99.0")
    with pytest.raises(SimulationError, match=r"you have 99.0; install the same version"):
        run(Plain(), tmp_path / "out.h5", DaskCluster(cluster))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "foo://host:1"])
def test_dask_scheduler_that_is_not_there(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caloforge.tasks.cluster._CONNECT_SECONDS", 1.0)
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    begin = time.monotonic()
    with pytest.raises(SimulationError, match=f"--dask {address}: cannot reach"):
        run(Plain(), tmp_path / "out.h5", DaskCluster(address))
    assert time.monotonic() - begin < 8
    assert list(tmp_path.iterdir()) == []


def test_dask_scheduler_without_workers(tmp_path: Path) -> None:
    with local_dask(0) as empty, pytest.raises(SimulationError, match="dask worker "):
        address = empty.scheduler_address
        run(Plain(), tmp_path / "out.h5", DaskCluster(address, patience=0.2))


def test_dask_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SimulationError, match=r"pip install 'caloforge\[dask\]'"):
        run(Plain(), tmp_path / "out.h5", DaskCluster("tcp://127.0.0.1:8786"))
