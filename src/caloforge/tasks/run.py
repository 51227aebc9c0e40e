"""Make all shards, survive interruptions, put them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caloforge._version import __version__
from caloforge.atomic import remove_leftovers
from caloforge.errors import ShowerError, SimulationError
from caloforge.geometry import Calorimeter
from caloforge.showers import Provenance
from caloforge.tasks.executor import Executor
from caloforge.tasks.job import Job
from caloforge.tasks.ledger import Ledger
from caloforge.tasks.merge import check_output, merge
from caloforge.tasks.parts import Parts, open_parts
from caloforge.tasks.plan import Shard
from caloforge.tasks.progress import Progress, Tracker


@dataclass(frozen=True)
class Result:
    """What was written: ``showers``, ``empty`` of them without hits, ``resumed`` made earlier.

    ``seconds`` is the CPU time of all showers, ``engine_seconds`` the time in the engine where the
    job says it, ``elapsed`` the wall time of this run (s).
    """

    path: Path
    showers: int
    empty: int
    resumed: int
    shards: int
    seconds: float
    elapsed: float
    engine_seconds: float | None = None


def run_sharded(
    job: Job,
    shards: Sequence[Shard],
    output: str | Path,
    *,
    calorimeter: Calorimeter,
    provenance: Provenance,
    identity: Mapping[str, Any],
    executor: Executor,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Make all showers of a job and write them to ``output``.

    The content is the same for any executor and number of workers, and after any interruption:
    finished shards wait in ``<output>.parts``, and the same call goes on from there. Only
    the time per shower in the provenance is measured anew.

    Args:
        job: makes the showers of a shard.
        shards: from :func:`plan_shards`.
        output: a store file (.h5, .hdf5), or else a folder of shards.
        calorimeter: what the showers are made in.
        provenance: of the output; its ``source`` gets what the shards' sources say.
        identity: JSON-ready: everything that decides the content.
        executor: where the work is done.
        progress: told about the showers done, in the calling thread.

    Raises:
        OutputError: the output cannot be written, another run is writing it, or its parts folder
            holds shards of another identity.
        ShowerError: no shards.
        SimulationError: the job failed, or returned other showers than it was asked for.
        CaloforgeError: the job raised it.
    """
    output = Path(output)
    if not shards:
        raise ShowerError(f"{output}: no showers to make; ask for at least one")
    check_output(output)
    plan = {
        "caloforge": __version__,
        "calorimeter": calorimeter.hash,
        "identity": dict(identity),
        "shards": [[shard.start, shard.stop] for shard in shards],
    }
    begin = time.perf_counter()
    with open_parts(output, plan) as parts:
        ledger = Ledger(calorimeter, parts.folder)
        missing = _take_stock(shards, parts, ledger, calorimeter)
        resumed = ledger.showers
        tracker = Tracker(sum(map(len, shards)), resumed, executor, progress)
        if missing:
            _make(job, missing, parts, ledger, executor, tracker)
        source = {**provenance.source, **ledger.source}
        remove_leftovers(output)
        merge(parts, shards, output, calorimeter, replace(provenance, source=source))
        parts.remove()
    return Result(
        path=output,
        showers=ledger.showers,
        empty=ledger.empty,
        resumed=resumed,
        shards=len(shards),
        seconds=round(ledger.seconds, 3),
        elapsed=round(time.perf_counter() - begin, 3),
        engine_seconds=ledger.engine_seconds,
    )


def _take_stock(
    shards: Sequence[Shard], parts: Parts, ledger: Ledger, calorimeter: Calorimeter
) -> list[Shard]:
    """Enter the finished shards of an earlier run in the ledger; return the others."""
    missing = []
    for shard in shards:
        kept = parts.read(shard, calorimeter)
        if kept is None:
            missing.append(shard)
        else:
            ledger.accept(shard, kept)
    return missing


def _make(
    job: Job,
    missing: Sequence[Shard],
    parts: Parts,
    ledger: Ledger,
    executor: Executor,
    tracker: Tracker,
) -> None:
    with closing(executor.run(job, missing, tracker.advance)) as results:
        for shard, showers in results:
            ledger.accept(shard, showers)
            parts.write(shard, showers)
            tracker.finish(shard)
    lost = [shard for shard in missing if shard not in ledger]
    if lost:
        raise SimulationError(f"{lost[0]}: never came back; start again, finished shards are kept")
