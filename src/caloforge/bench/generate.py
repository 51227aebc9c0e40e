"""Time per generated shower, beside the time that Geant4 took for the training sample."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.beam import particles
from caloforge.generate import open_engine
from caloforge.runtime import Engine
from caloforge.runtime.engine import condition_of
from caloforge.runtime.noise import shower_noise
from caloforge.showers import Provenance

GEANT4 = "Geant4"


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
    """Time the engines of some models, cells in memory, without writing.

    Geant4's time is the one recorded with the training showers (``seconds_per_shower``), on the
    machine that made them, unless ``geant4_ms`` gives one measured here.

    Args:
        models: model folders or exported files.
        engines: engines to try on each.
        batch_sizes: showers per call.
        energy: incident energies, GeV.
        seconds: measure at least this long, and at least three calls, after one to warm up.
        geant4_ms: Geant4's time per shower.

    Raises:
        ModelError, ConfigError: see their messages.
    """
    rows: list[Timing] = []
    for model in models:
        for name in engines:
            engine = open_engine(model, name)
            reference = geant4_ms or recorded_geant4_ms(engine)
            if reference is not None and not rows:
                rows.append(Timing(GEANT4, "given" if geant4_ms else "recorded", 1, reference, 1.0))
            for size in batch_sizes:
                ms = _time(engine, size, energy, seconds)
                ratio = None if reference is None else reference / ms
                rows.append(Timing(Path(model).name, engine.name, size, ms, ratio))
    return rows


def recorded_geant4_ms(engine: Engine) -> float | None:
    """Geant4's time per shower (ms) that the model's training sample carries, if it does."""
    provenance = Provenance(step="bench", parents=(engine.description["provenance"],))
    seconds = provenance.find_source("seconds_per_shower")
    return None if seconds is None else 1000.0 * float(seconds)


def _time(engine: Engine, size: int, energy: str, seconds: float) -> float:
    incident = particles(size, energy)
    condition = condition_of(engine, incident)
    latent = engine.description["latent"]
    times: list[float] = []
    for call in _calls(seconds):
        noise = shower_noise(call, 0, size, latent["size"], latent["distribution"])
        start = time.perf_counter()
        engine.run(condition, noise)
        times.append(time.perf_counter() - start)
    return float(1000 * np.median(times[1:]) / size)


def _calls(seconds: float) -> Iterable[int]:
    """Call numbers until ``seconds`` have passed since the first call ended; at least four."""
    end = float("inf")
    call = 0
    while call < 4 or time.perf_counter() < end:
        yield call
        if call == 0:
            end = time.perf_counter() + seconds
        call += 1
