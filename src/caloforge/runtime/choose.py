"""The fastest engine for an exported file: measured once on this machine, then remembered.

One that makes other showers than ONNX Runtime does is not taken, however fast.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ModelError, one_line
from caloforge.runtime.agreement import BATCH, RARE, SINGLE, share_apart
from caloforge.runtime.engine import NORMAL_INCIDENCE, Engine
from caloforge.runtime.noise import shower_noise
from caloforge.runtime.onnx_engine import OnnxEngine
from caloforge.runtime.openvino_engine import OpenVinoEngine
from caloforge.showers import file_digest

CACHE = "CALOFORGE_CACHE"
"""Environment variable: folder of what is remembered, else ``~/.cache/caloforge``."""

FILE = "engines.json"
CALLS = 3
LONG = 0.3
"""Seconds of a call of which one is enough, after one to warm up."""
FIRST = "onnx"
"""Engine that the others must agree with: it computes in the graph's own precision."""
RULES = 2
"""Number of the rules by which engines are chosen; others' choices are not remembered."""
ENERGY = 50_000.0
"""MeV of the particles that the engines are timed with."""

Factory = Callable[[Path, int], Engine]
"""File and threads -> engine."""


def factories() -> dict[str, Factory]:
    """Engines for .onnx files that are installed here, by name."""
    import onnxruntime

    found: dict[str, Factory] = {"onnx": lambda path, threads: OnnxEngine(path, threads, "CPU")}
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        found["onnx-cuda"] = lambda path, threads: OnnxEngine(path, threads, "CUDA")
    if importlib.util.find_spec("openvino") is not None:
        found["openvino"] = OpenVinoEngine
    return found


def fastest(path: str | Path, batch_size: int = 128, threads: int = 0) -> Engine:
    """The engine that runs an exported file fastest at a batch size.

    What was measured is kept (see :data:`CACHE`) and asked first: the same file, batch size,
    processor and software get the same engine again.

    Raises:
        ModelError: no engine can run the file.
    """
    path = Path(path)
    known = factories()
    if len(known) == 1:
        (make,) = known.values()
        return make(path, threads)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; make it with 'caloforge export'")
    key = _key(path, batch_size, threads, list(known))
    memory = _memory()
    name = memory.get(key, {}).get("engine")
    if name in known:
        return known[name](path, threads)
    times, engines = _measure(path, known, batch_size, threads)
    name = min(times, key=lambda each: times[each])
    _remember({**memory, key: {"engine": name, "ms_per_shower": times}})
    return engines[name]


def _measure(
    path: Path, known: Mapping[str, Factory], batch_size: int, threads: int
) -> tuple[dict[str, float], dict[str, Engine]]:
    """ms per shower of every engine that can run the file, and these engines."""
    times: dict[str, float] = {}
    engines: dict[str, Engine] = {}
    refusals: list[ModelError] = []
    for name, make in known.items():
        try:
            engine = make(path, threads)
            times[name] = 1000.0 * time_of(engine, batch_size) / batch_size
        except ModelError as error:
            refusals.append(error)
            continue
        engines[name] = engine
    if not engines:
        raise refusals[0]
    for name in _astray(engines):
        del times[name], engines[name]
    return times, engines


def _astray(engines: Mapping[str, Engine]) -> list[str]:
    """Engines that make other showers than the first one, from the same noise."""
    if FIRST not in engines:
        return []
    expected = _showers(engines[FIRST])
    least = engines[FIRST].calorimeter.cell_threshold
    others = {name: _showers(engine) for name, engine in engines.items() if name != FIRST}
    return [
        name for name, found in others.items() if share_apart(found, expected, least, SINGLE) > RARE
    ]


def _showers(engine: Engine) -> NDArray[np.float32]:
    """Some showers (BATCH, cells) in MeV, the same particles and noise for every engine."""
    latent = engine.description["latent"]
    noise = shower_noise(0, 0, BATCH, latent["size"], latent["distribution"])
    return engine.run(typical_condition(engine, BATCH), noise)


def time_of(engine: Engine, batch_size: int) -> float:
    """Median seconds of a batch, after one to warm up.

    Raises:
        ModelError: the engine cannot run the file.
    """
    latent = engine.description["latent"]
    noise = shower_noise(0, 0, batch_size, latent["size"], latent["distribution"])
    condition = typical_condition(engine, batch_size)
    times: list[float] = []
    try:
        while len(times) < (2 if times and times[0] > LONG else CALLS + 1):
            start = time.perf_counter()
            engine.run(condition, noise)
            times.append(time.perf_counter() - start)
    except Exception as error:  # engines raise their own untyped exceptions
        text = one_line(error)[:160]
        raise ModelError(f"engine '{engine.name}' cannot run this model ({text})") from error
    return float(np.median(times[1:]))


def typical_condition(engine: Engine, n: int) -> NDArray[np.float32]:
    """Conditions (n, C): 50 GeV along the normal, of the first particle that the model knows."""
    particles = engine.description.get("particles") or [11]
    usual = {"energy": ENERGY, "theta": NORMAL_INCIDENCE, "pdg": float(particles[0])}
    row = [usual.get(name, 0.0) for name in engine.description["condition"]]
    return np.tile(np.array(row, np.float32), (n, 1))


def _key(path: Path, batch_size: int, threads: int, names: list[str]) -> str:
    software = [f"{name} {version(name)}" for name in ("onnxruntime", *_optional(names))]
    machine = [platform.machine(), platform.processor(), os.cpu_count()]
    text = json.dumps([RULES, file_digest(path), batch_size, threads, names, software, machine])
    return hashlib.sha256(text.encode()).hexdigest()


def _optional(names: list[str]) -> list[str]:
    return [name for name in ("openvino",) if name in names]


def _file() -> Path:
    folder = os.environ.get(CACHE) or Path.home() / ".cache" / "caloforge"
    return Path(folder) / FILE


def _memory() -> dict[str, Any]:
    """What was measured earlier; nothing where it cannot be read."""
    try:
        said = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # the last: there is no home folder
        return {}
    return said if isinstance(said, dict) else {}


def _remember(memory: dict[str, Any]) -> None:
    """Keep it, where a folder can be written."""
    with suppress(OSError, RuntimeError):
        file = _file()
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(memory, indent=1), encoding="utf-8")
        partial.replace(file)
