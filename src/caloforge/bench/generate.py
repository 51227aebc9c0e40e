"""Time per generated shower, beside the time that Geant4 took for the training sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.beam import particles
from caloforge.errors import ConfigError, ModelError
from caloforge.generate import ENGINES, open_engine
from caloforge.runtime import Engine
from caloforge.runtime.engine import SparseEngine, condition_of
from caloforge.runtime.noise import shower_noise
from caloforge.runtime.trained import with_impact
from caloforge.showers import Provenance
from caloforge.simulate import open_simulator

GEANT4 = "Geant4"
GFLASH = "gflash"
"""Named among the models: the classical fast simulation, in the calorimeter of the first model."""

ALL = "all"
"""Among the engines: every one that can run the model."""

Call = Callable[[int], object]
"""Generates one batch; told the number of the call."""


@dataclass(frozen=True)
class Timing:
    """One row: the median time per shower (ms) at a batch size, and Geant4's time over it."""

    model: str
    engine: str
    batch_size: int
    ms: float
    speedup: float | None


def bench_generate(
    models: Sequence[str | Path],
    *,
    engines: Sequence[str] = ("auto",),
    batch_sizes: Sequence[int] = (1, 128),
    energy: str = "10:100",
    seconds: float = 5.0,
    geant4_ms: float | None = None,
) -> list[Timing]:
    """Time the engines of some models, showers in memory (hits where the engine makes hits).

    Geant4's time is the one recorded with the training showers (``seconds_per_shower``), on the
    machine that made them, unless ``geant4_ms`` gives one measured here.

    Args:
        models: model folders or exported files, or ``gflash``.
        engines: engines to try on each, or ``all``: those that can run it.
        batch_sizes: showers per call.
        energy: incident energies, GeV.
        seconds: measure at least this long, and at least three calls, after one to warm up.
        geant4_ms: Geant4's time per shower.

    Raises:
        ModelError, ConfigError: see their messages.
    """
    rows: list[Timing] = []
    ways = _ways(models, engines)
    reference = geant4_ms or recorded_geant4_ms(ways[0].engine)
    if reference is not None:
        rows.append(Timing(GEANT4, "given" if geant4_ms else "recorded", 1, reference, 1.0))
    for way in ways:
        for size in batch_sizes:
            ms = _time(way.batches(way.engine, size, energy), seconds) / size
            ratio = None if reference is None else reference / ms
            rows.append(Timing(way.model, way.name, size, ms, ratio))
    return rows


def best_ratios(rows: Sequence[Timing]) -> list[tuple[int, str, float]]:
    """How many times as fast the first model is as each other one: (batch size, other, ratio).

    The best engine of each at that batch size.
    """
    best: dict[tuple[str, int], float] = {}
    for row in rows:
        if row.model != GEANT4:
            key = (row.model, row.batch_size)
            best[key] = min(best.get(key, np.inf), row.ms)
    names = list(dict.fromkeys(name for name, _ in best))
    return [
        (size, name, ms / best[names[0], size])
        for (name, size), ms in best.items()
        if name != names[0] and (names[0], size) in best
    ]


@dataclass(frozen=True)
class _Way:
    """A way to make showers: ``batches`` prepares calls for the calorimeter of ``engine``."""

    model: str
    name: str
    engine: Engine
    batches: Callable[[Engine, int, str], Call]


def _ways(models: Sequence[str | Path], names: Sequence[str]) -> list[_Way]:
    """Every model with every engine asked for, and gflash beside the first of them."""
    ways: list[_Way] = []
    for model in models:
        if str(model) == GFLASH and ways:
            ways.append(_Way(GFLASH, GFLASH, ways[0].engine, _gflash))
        elif str(model) == GFLASH:
            raise ConfigError("gflash is timed in the calorimeter of a model; name one before it")
        else:
            opened = _opened(model, names)
            ways += [_Way(Path(model).name, engine.name, engine, _of) for engine in opened]
    return ways


def _opened(model: str | Path, names: Sequence[str]) -> Iterable[Engine]:
    if ALL not in names:
        yield from (open_engine(model, name) for name in names)
        return
    for name in ENGINES:
        if name == "auto":
            continue
        try:
            yield open_engine(model, name)
        except (ConfigError, ModelError):
            continue  # this engine cannot run this model


def _of(engine: Engine, size: int, energy: str) -> Call:
    kinds = engine.description["config"].get("classes")
    shot = particles(size, energy, particle=str(kinds[0]) if kinds else None)
    incident = with_impact(engine, shot, 0, 0)
    condition = condition_of(engine, incident)
    latent = engine.description["latent"]

    def call(number: int) -> object:
        noise = shower_noise(number, 0, size, latent["size"], latent["distribution"])
        if isinstance(engine, SparseEngine):
            return engine.hits(condition, noise)
        return engine.run(condition, noise)

    return call


def _gflash(beside: Engine, size: int, energy: str) -> Call:
    incident = particles(size, energy, particle="e-")
    simulator = open_simulator(GFLASH, beside.calorimeter, incident)
    return lambda number: simulator.simulate(incident, seed=number)


def recorded_geant4_ms(engine: Engine) -> float | None:
    """Geant4's time per shower (ms) that the model's training sample carries, if it does."""
    provenance = Provenance(step="bench", parents=(engine.description["provenance"],))
    seconds = provenance.find_source("seconds_per_shower")
    return None if seconds is None else 1000.0 * float(seconds)


def _time(call: Call, seconds: float) -> float:
    """Median milliseconds of a call, the first one left out."""
    times: list[float] = []
    for number in _calls(seconds):
        start = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - start)
    return float(1000 * np.median(times[1:]))


def _calls(seconds: float) -> Iterable[int]:
    """Call numbers until ``seconds`` have passed since the first call ended; at least four."""
    end = float("inf")
    call = 0
    while call < 4 or time.perf_counter() < end:
        yield call
        if call == 0:
            end = time.perf_counter() + seconds
        call += 1
