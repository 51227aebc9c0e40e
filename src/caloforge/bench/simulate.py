"""What our scoring costs Geant4, how workers scale, and how fast gflash is.

Bare Geant4 is the same geometry and physics without cells and scorers, in a process of its own,
shot from the same gun. The two sides take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from caloforge.beam import aimed, particles
from caloforge.errors import ConfigError, GeometryError
from caloforge.geometry import Calorimeter
from caloforge.showers import Incident
from caloforge.simulate import Simulator, open_simulator, simulate_to_store
from caloforge.simulate.geant4 import Geant4
from caloforge.simulate.to_store import SimulationJob
from caloforge.tasks import LocalWorkers, Shard
from caloforge.tasks.job import pack
from caloforge.tasks.process import WorkerProcess

ROUNDS = 7
SCALING_ROUNDS = 3
SCALING_SHOWERS = 8
"""The scaling runs take this many times the showers of a round."""


@dataclass(frozen=True)
class SimulationTiming:
    """One row: CPU or wall time of a way to simulate, and its ratio to the row it stands against.

    ``ratio`` is ours over bare Geant4 (smaller is better) for ``overhead`` rows, the speed-up over
    one worker for ``workers`` rows, and Geant4's time over this engine's for ``engine`` rows.
    """

    what: str
    kind: str
    ms_per_gev: float
    showers_per_second: float
    ratio: float


def bench_simulate(
    calorimeter: Calorimeter,
    *,
    particle: str = "e-",
    energy: str = "50",
    showers: int = 20,
    workers: int = 2,
    progress: Callable[[str], None] | None = None,
) -> list[SimulationTiming]:
    """Time Geant4 bare and scored, one worker and many, and gflash.

    Args:
        calorimeter: with stacks of materials.
        particle: what is shot.
        energy: GeV, as on the command line.
        showers: per round and side; the scaling runs take more.
        workers: compared with one.
        progress: told what is measured.

    Raises:
        ConfigError, SimulationError: see their messages.
    """
    if workers < 2:
        raise ConfigError(f"--workers {workers}: compare at least 2 with one")
    tell = progress or (lambda _: None)
    incident = _beam(particle, energy, showers)
    ours = open_simulator("geant4", calorimeter, incident)
    assert isinstance(ours, Geant4)
    tell("bare Geant4 against ours")
    rows = _overhead(ours, incident)
    many = _beam(particle, energy, SCALING_SHOWERS * showers)
    tell(f"one worker against {workers}")
    rows += _scaling(ours, many, workers)
    try:
        fast = open_simulator("gflash", calorimeter, incident)
    except (ConfigError, GeometryError):
        return rows  # hadrons, beyond its energies, or a material that it does not know
    tell("gflash")
    return [*rows, _engine(fast, _beam(particle, energy, 2000), rows[1])]


def _beam(particle: str, energy: str, n: int) -> Incident:
    return aimed(particles(n, energy, particle=particle, seed=1), spread=(5.0, 5.0), seed=1)


def _gev(incident: Incident) -> float:
    return float(incident.energy.sum()) / 1000.0


def _overhead(ours: Geant4, incident: Incident) -> list[SimulationTiming]:
    """Median CPU time of bare Geant4 and ours, turn by turn, and the median ratio of the turns."""
    sides = (replace(ours, bare=True), ours)
    n = len(incident)
    seconds = np.zeros((ROUNDS, 2))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(WorkerProcess(pack(SimulationJob(side, incident, 1))))
            for side in sides
        ]
        for turn in range(-1, ROUNDS):  # the first one warms up
            for number, process in enumerate(processes):
                made = process.call(Shard(0, 0, n), lambda _: None)
                seconds[turn, number] = made.provenance.source["seconds"]
    bare, scored = (float(value) for value in np.median(seconds, axis=0))
    ratio = float(np.median(seconds[:, 1] / seconds[:, 0]))
    kind = "overhead"
    return [
        SimulationTiming("Geant4, bare", kind, _ms(bare, incident), n / bare, 1.0),
        SimulationTiming("Geant4, scored", kind, _ms(scored, incident), n / scored, ratio),
    ]


def _ms(seconds: float, incident: Incident) -> float:
    return 1000.0 * seconds / _gev(incident)


def _scaling(ours: Simulator, incident: Incident, workers: int) -> list[SimulationTiming]:
    """Median wall time of whole runs, process start and merged file included; in turns."""
    counts = (1, workers)
    elapsed = np.array([[_run(ours, incident, n) for n in counts] for _ in range(SCALING_ROUNDS)])
    medians = np.median(elapsed, axis=0)
    ratios = (1.0, float(np.median(elapsed[:, 0] / elapsed[:, 1])))
    return [
        SimulationTiming(
            f"{count} worker{'s' if count > 1 else ''}",
            "workers",
            _ms(seconds, incident),
            len(incident) / seconds,
            ratio,
        )
        for count, seconds, ratio in zip(counts, medians.tolist(), ratios, strict=True)
    ]


def _run(simulator: Simulator, incident: Incident, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        executor = LocalWorkers(workers)
        output = Path(folder) / "bench.h5"
        return simulate_to_store(simulator, incident, output, executor=executor).elapsed


def _engine(fast: Simulator, incident: Incident, geant4: SimulationTiming) -> SimulationTiming:
    """CPU time of another engine, in this process."""
    job = SimulationJob(fast, incident, 1)
    with WorkerProcess(pack(job)) as process:
        times = [
            process.call(Shard(0, 0, len(incident)), lambda _: None).provenance.source["seconds"]
            for _ in range(4)
        ]
    seconds = float(np.median(times[1:]))
    return SimulationTiming(
        fast.name,
        "engine",
        _ms(seconds, incident),
        len(incident) / seconds,
        geant4.ms_per_gev / _ms(seconds, incident),
    )
