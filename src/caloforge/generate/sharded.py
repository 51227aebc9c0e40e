"""Generate many showers, shard by shard: any number of processes, and runs that go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import ConfigError
from caloforge.generate.job import GenerationJob
from caloforge.runtime import Engine
from caloforge.runtime.trained import warn_outside, with_impact
from caloforge.showers import Incident, Provenance
from caloforge.tasks import Executor, InProcess, Progress, Result, plan_shards, run_sharded

SHARDS = 64
"""A big run becomes about this many shards ..."""

SHARD_SHOWERS = (500, 5000)
"""... of at least and at most so many showers: what a killed run makes again."""


def generate_sharded(
    engine: Engine,
    model: str | Path,
    incident: Incident,
    output: str | Path,
    *,
    executor: Executor,
    seed: int = 0,
    batch_size: int = 128,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Generate one shower per incident particle into ``output``; goes on where a run stopped.

    Args:
        engine: the opened model; workers open the same engine of ``model`` themselves.
        model: folder or exported file.
        incident: the particles.
        output: store file (.h5), or a folder of shards.
        executor: in this process, local processes or a dask cluster; does not change the result.
        seed: same seed, same showers, whatever the batch size.
        batch_size: showers per engine call.
        config: how the particles were asked for, for the provenance.
        inputs: digests of the files they came from, for the provenance.
        progress: told how far the run is.

    Raises:
        ConfigError: no particles.
        ModelError, OutputError: see their messages.
    """
    if len(incident) == 0:
        raise ConfigError(f"no particles, so no showers for {output}; give one at least")
    asked = {key: value for key, value in (config or {}).items() if value is not None}
    incident = with_impact(engine, incident, seed, 0)
    warn_outside(engine, incident)
    provenance = Provenance(
        step="generate",
        geometry=engine.calorimeter.hash,
        config={"engine": engine.name, "batch_size": batch_size, **asked},
        seed=seed,
        inputs={**engine.inputs, **(inputs or {})},
        parents=(engine.description["provenance"],),
    )
    job = GenerationJob(
        Path(model).absolute() if Path(model).exists() else Path(model),
        engine.name,
        incident,
        seed,
        batch_size,
        _threads(executor),
    )
    if isinstance(executor, InProcess):
        job.use(engine)
    most = int(np.clip(len(incident) / SHARDS, *SHARD_SHOWERS))
    shards = plan_shards(np.ones(len(incident)), len(incident) + 1.0, most)
    return run_sharded(
        job,
        shards,
        output,
        calorimeter=engine.calorimeter,
        provenance=provenance,
        identity={
            "engine": engine.name,
            "inputs": engine.inputs,
            "seed": seed,
            "number": len(incident),
            "particles": incident.digest(),
        },
        executor=executor,
        progress=progress,
    )


def _threads(executor: Executor) -> int:
    """Threads of each worker's engine: its share of the cores."""
    if executor.workers <= 1:
        return 0
    return max(1, (os.cpu_count() or 1) // executor.workers)
