"""``caloforge.simulate``: the Python mirror of the command."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from caloforge.beam import Words, as_words, shot
from caloforge.errors import ConfigError
from caloforge.geometry import Calorimeter, load_detector
from caloforge.showers import Incident, Showers
from caloforge.simulate.engines import open_simulator
from caloforge.simulate.to_store import simulate_to_store
from caloforge.store import open_showers
from caloforge.tasks import DaskCluster, LocalWorkers


def simulate(
    detector: str | Path | Calorimeter,
    output: str | Path | None = None,
    *,
    particle: str | None = None,
    energy: Words | None = None,
    n: int | None = None,
    theta: Words | None = None,
    phi: Words | None = None,
    spread: tuple[float, float] = (0.0, 0.0),
    aim_depth: float = 0.0,
    vertex: float = 0.0,
    incident: Incident | None = None,
    seed: int = 0,
    engine: str = "geant4",
    window: tuple[int, int] | None = None,
    workers: int = 1,
    dask: str | None = None,
    **options: Any,
) -> Showers | Path:
    """Simulate showers with Geant4 or with gflash.

    Args:
        detector: a shipped name, a YAML file, ``front+back``, or a :class:`Calorimeter`.
        output: store file (.h5) or folder of shards; in memory when None.
        particle: ``e-``, ``gamma``, ``pi0``, ... or a PDG code.
        energy: GeV: a number, a list, ``"10:100"`` (uniform), ``"log:1:100"``.
        n: number of showers; 1, or the length of the list, when None.
        theta: degrees, 90 is normal incidence.
        phi: degrees around the normal.
        spread: full widths (mm) over which the impact is spread in x and y.
        aim_depth: depth (mm) at which the lines pass the spread points.
        vertex: start the particles this many mm before the front face.
        incident: the particles themselves, instead of all of the above.
        seed: same seed, same showers.
        engine: ``geant4`` or ``gflash``.
        window: keep only the central nx x ny cells of every layer.
        workers: processes on this machine.
        dask: address of a dask scheduler, instead of ``workers``.
        options: of Geant4: ``physics``, ``em_option``, ``cut`` (mm), ``fast`` (models that take
            particles over: names, folders or exported files).

    Returns:
        The showers, or the path of ``output``.

    Raises:
        ConfigError, GeometryError, SimulationError, OutputError: see their messages.
    """
    if workers != 1 and dask is not None:
        raise ConfigError("workers are processes here, dask has its own; give one of them")
    asked = {
        "particle": particle,
        **{
            name: None if value is None else as_words(value)
            for name, value in (("energy", energy), ("theta", theta), ("phi", phi))
        },
        "spread": [float(width) for width in spread] if any(spread) else None,
        "aim_depth": aim_depth or None,
        "vertex": vertex or None,
    }
    calorimeter = detector if isinstance(detector, Calorimeter) else load_detector(detector)
    if incident is None:
        if energy is None or particle is None:
            raise ConfigError("simulate needs particle=... and energy=... (GeV), or incident=...")
        incident = shot(asked, n, spread=spread, seed=seed)
    elif n is not None or any(value is not None for value in asked.values()):
        raise ConfigError("incident=... says it all: leave n, energy, particle and angles out")
    simulator = open_simulator(engine, calorimeter, incident, **options)
    executor = LocalWorkers(workers) if dask is None else DaskCluster(dask)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "showers.h5" if output is None else Path(output)
        simulate_to_store(
            simulator, incident, path, executor=executor, seed=seed, window=window, config=asked
        )
        if output is not None:
            return path
        with open_showers(path) as reader:
            return reader.read()
