"""Simulate many particles into a store file, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.showers import Incident, Provenance, Showers
from caloforge.simulate.aim import check_aim
from caloforge.simulate.base import Advance, Simulator
from caloforge.tasks import Executor, Progress, Result, Shard, plan_shards, run_sharded
from caloforge.transform import central_window, window_calorimeter

SHARDS = 64
"""A big job becomes about this many shards ..."""

SHARD_SECONDS = (1.0, 30.0)
"""... of at least and at most so much CPU time: what a killed worker loses."""


@dataclass(frozen=True)
class SimulationJob:
    """What a worker does for a shard: simulate its particles, keep the window."""

    simulator: Simulator
    incident: Incident
    seed: int
    window: Calorimeter | None = None

    def prepare(self) -> None:
        """Start the simulator."""
        self.simulator.prepare()

    def __call__(self, shard: Shard, advance: Advance) -> Showers:
        """The showers of the shard."""
        rows = self.incident.take(slice(shard.start, shard.stop))
        showers = self.simulator.simulate(rows, seed=self.seed, first=shard.start, advance=advance)
        return showers if self.window is None else central_window(showers, self.window)


def simulate_to_store(
    simulator: Simulator,
    incident: Incident,
    output: str | Path,
    *,
    executor: Executor,
    seed: int = 0,
    window: tuple[int, int] | None = None,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Simulate one shower per incident particle into ``output``; goes on where a run stopped.

    Args:
        simulator: makes the showers.
        incident: the particles.
        output: store file (.h5), or a folder of shards.
        executor: local processes or a dask cluster; does not change the result.
        seed: same seed, same showers.
        window: keep only the central nx x ny cells of every layer.
        config: how the particles were asked for, for the provenance.
        inputs: digests of the files they came from, for the provenance.
        progress: told how far the run is.

    Raises:
        CaloforgeError: see :func:`caloforge.tasks.run_sharded` and the simulator.
    """
    simulator.check(incident)
    incident = simulator.truth(incident)
    small = None if window is None else window_calorimeter(simulator.calorimeter, *window)
    if small is not None:
        check_aim(small, incident)
    calorimeter = small or simulator.calorimeter
    asked = {key: value for key, value in (config or {}).items() if value is not None}
    settings = {
        **simulator.settings(),
        "detector": simulator.calorimeter.name,
        "detector_hash": simulator.calorimeter.hash,
        **asked,
    }
    provenance = Provenance(
        step="simulate",
        geometry=calorimeter.hash,
        config=settings,
        seed=seed,
        inputs=dict(inputs or {}),
    )
    cost = simulator.cost(incident)
    target = float(np.clip(cost.sum() / SHARDS, *SHARD_SECONDS))
    return run_sharded(
        SimulationJob(simulator, incident, seed, small),
        plan_shards(cost, target),
        output,
        calorimeter=calorimeter,
        provenance=provenance,
        identity={
            "settings": {k: v for k, v in settings.items() if k not in asked},
            "seed": seed,
            "number": len(incident),
            "particles": incident.digest(),
            "window": list(window or ()),
        },
        executor=executor,
        progress=progress,
    )
