"""What our scoring costs Geant4, how workers scale, and how fast models and gflash are.

Bare Geant4 is the same geometry and physics without cells and scorers, in a process of its own,
shot from the same gun. The two sides take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
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

ENGINE_ROUNDS = 5
FAST_SHOWERS = 100
"""The same for what is faster than Geant4."""


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
    fast: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> list[SimulationTiming]:
    """Time Geant4 bare and scored, one worker and many, with models that take over, and gflash.

    Args:
        calorimeter: with stacks of materials.
        particle: what is shot.
        energy: GeV, as on the command line.
        showers: per round and side; the scaling runs take more.
        workers: compared with one.
        fast: models, each alone in Geant4, see :func:`caloforge.simulate.fast.choices`.
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
    much = _beam(particle, energy, FAST_SHOWERS * showers)
    for model in fast:
        tell(f"Geant4 with {model}")
        hybrid = open_simulator("geant4", calorimeter, much, fast=[model])
        rows.append(_engine(f"with {model}", hybrid, ours, much))
    try:
        gflash = open_simulator("gflash", calorimeter, incident)
    except (ConfigError, GeometryError):
        return rows  # hadrons, beyond its energies, or a material that it does not know
    tell("gflash")
    return [*rows, _engine("gflash", gflash, ours, much)]


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


def _engine(what: str, fast: Simulator, ours: Geant4, incident: Incident) -> SimulationTiming:
    """CPU time of a faster way and of Geant4, turn by turn, and the median ratio of the turns.

    A turn is all particles for the faster way, few of them for Geant4.
    """
    few = incident.take(slice(0, max(1, len(incident) // FAST_SHOWERS)))
    sides = ((ours, few), (fast, fast.truth(incident)))
    spent = np.zeros((ENGINE_ROUNDS, 2))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(WorkerProcess(pack(SimulationJob(side, some, 1))))
            for side, some in sides
        ]
        for turn in range(-1, ENGINE_ROUNDS):  # the first one warms up
            for number, (process, (_, some)) in enumerate(zip(processes, sides, strict=True)):
                made = process.call(Shard(0, 0, len(some)), lambda _: None)
                spent[turn, number] = _ms(made.provenance.source["seconds"], some)
    per_gev = float(np.median(spent[:, 1]))
    mean = _gev(incident) / len(incident)
    ratio = float(np.median(spent[:, 0] / spent[:, 1]))
    return SimulationTiming(what, "engine", per_gev, 1000.0 / (per_gev * mean), ratio)
