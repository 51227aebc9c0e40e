"""What the tests of sharded runs share: one run, its content, the processes that it leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.showers import Provenance
from caloforge.store import open_showers
from caloforge.tasks import Executor, Job, LocalWorkers, Progress, Result, Shard, run_sharded
from task_jobs import CALORIMETER

SHARDS = [Shard(k, 3 * k, 3 * k + 3) for k in range(6)]
IDENTITY = {"seed": 1, "engine": {"name": "fake", "range_cut": 0.7}}


def run(
    job: Job,
    output: Path,
    executor: Executor | None = None,
    identity: dict[str, Any] = IDENTITY,
    **other: Any,
) -> Result:
    return run_sharded(
        job,
        other.pop("shards", SHARDS),
        output,
        calorimeter=other.pop("calorimeter", CALORIMETER),
        provenance=Provenance(step="simulate", geometry=CALORIMETER.hash, seed=1),
        identity=identity,
        executor=executor or LocalWorkers(1),
        **other,
    )


def content(path: Path) -> tuple[Any, ...]:
    """All that must be the same; the measured time must be there, and only it may differ."""
    with open_showers(path) as reader:
        showers, provenance = reader.read(), reader.provenance.to_dict()
    assert provenance["source"].pop("seconds_per_shower") >= 0
    arrays: list[np.ndarray[Any, Any]] = [
        showers.offset,
        showers.cell,
        showers.energy,
        *showers.incident.columns.values(),
    ]
    return showers.calorimeter.hash, provenance, *(array.tobytes() for array in arrays)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z" and os.getpid() != parent_of(pid)  # its new parent has yet to notice


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_for(condition: Any, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def processes(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def all_gone(folder: Path) -> bool:
    found = processes(folder)
    return bool(found) and wait_for(lambda: all(gone(pid) for pid in found), 10)


def interrupt_after(done: int) -> Any:
    def progress(state: Progress) -> None:
        if state.done >= done:
            raise KeyboardInterrupt

    return progress
