"""Training speed of 3DGAN: against a plain port of the published loop, and on several processes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge.api import train
from caloforge.artifact import read_description
from caloforge.bench.plain_3dgan import PlainThreeDGAN
from caloforge.bench.scaling import PUBLISHED, WORLDS, Network, Step
from caloforge.config import load_recipe
from caloforge.data import BatchPlan, ShowerLoader, StoredBlocks
from caloforge.errors import ConfigError
from caloforge.models.threedgan.adversarial import ENERGY_UNIT
from caloforge.preprocess import EnergyScaling, GridImage
from caloforge.store import open_showers
from caloforge.train.launch import launch

RECIPE = "3dgan"
PLAIN = "plain port"
PRECISIONS = ("32-true", "bf16-mixed")
LOG_MESSAGES = (88, 8)
"""Bytes summed after every step: losses and whether to stop; and Lightning's own question."""

READERS = 64
"""The reading rate is measured as one of so many processes."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Speed:
    """Showers per second (median of the rounds) and the median ratio to the plain port."""

    what: str
    showers_per_second: float
    ratio: float


@dataclass(frozen=True)
class Scaling:
    """Showers per second of all processes, and efficiency: per process, over one process alone."""

    processes: int
    showers_per_second: float
    efficiency: float


@dataclass(frozen=True)
class TrainResult:
    """What was measured, and what follows for many processes.

    ``step`` and ``here`` are what the model of :mod:`.scaling` takes, ``network`` the one asked
    about, ``predicted`` the efficiency by number of processes.
    """

    batch_size: int
    speeds: list[Speed]
    scaling: list[Scaling]
    here: Network
    step: Step
    network: Network
    predicted: dict[int, float]
    published: dict[str, float]


def bench_train(
    data: Path,
    *,
    batch_size: int = 8,
    steps: int = 3,
    rounds: int = 3,
    processes: int = 2,
    step_ms: float | None = None,
    latency_us: float | None = None,
    bandwidth_gb: float | None = None,
    progress: Tell | None = None,
) -> TrainResult:
    """Time the training of 3DGAN; the ways to train take turns, so that all see a busy machine.

    Args:
        data: a store of lcd-ecal-25 showers.
        batch_size: showers per step and process.
        steps: timed per round and way, after one to warm up.
        rounds: how often all ways have their turn.
        processes: compared with one, each on one core.
        step_ms: computation per step for the prediction; that of one process here when None.
        latency_us: of the network of the prediction, per message; that between processes here when
            None.
        bandwidth_gb: of its links, GB/s; likewise.
        progress: told what is measured.

    Raises:
        ConfigError: too few showers or processes.
        GeometryError: showers of another calorimeter.
    """
    tell = progress or (lambda _: None)
    if processes < 2:
        raise ConfigError(f"--processes {processes}: compare at least 2 with one")
    speeds = _speeds(data, batch_size, steps, rounds, tell)
    scaling = _scaling(data, batch_size, steps, rounds, processes, tell)
    tell("sums over the processes")
    found = launch("caloforge.bench.exchange", {"kind": RECIPE}, processes, _ONE_CORE)
    here = Network.fitted(found["sizes"], found["seconds"], processes)
    network = Network(
        here.latency if latency_us is None else 1e-6 * latency_us,
        here.bandwidth if bandwidth_gb is None else 1e9 * bandwidth_gb,
    )
    seconds = batch_size / scaling[0].showers_per_second if step_ms is None else 1e-3 * step_ms
    tell("reading")
    messages = (*found["messages"], *LOG_MESSAGES)
    step = Step(seconds, messages, batch_size, _read_rate(data, batch_size))
    predicted = {world: step.efficiency(network, world) for world in WORLDS}
    return TrainResult(batch_size, speeds, scaling, here, step, network, predicted, dict(PUBLISHED))


_ONE_CORE = {"OMP_NUM_THREADS": "1"}


def _speeds(data: Path, batch_size: int, steps: int, rounds: int, tell: Tell) -> list[Speed]:
    ways: dict[str, Callable[[], float]] = {PLAIN: _plain(data, batch_size, steps)}
    for precision in PRECISIONS:
        options = _options(batch_size, steps, precision)
        ways[f"caloforge, {precision}"] = partial(_rate, data, options, 1)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            tell(f"{name} (round {number + 1} of {rounds})")
            rates[name].append(way())
    plain = np.array(rates[PLAIN])
    return [
        Speed(name, float(np.median(found)), float(np.median(np.array(found) / plain)))
        for name, found in rates.items()
    ]


def _plain(data: Path, batch_size: int, steps: int) -> Callable[[], float]:
    """Showers per second of the plain loop, its images made in advance."""
    batches = _images(data, batch_size)
    model = PlainThreeDGAN()

    def run() -> float:
        model.step(*next(batches))
        begin = time.perf_counter()
        for _ in range(steps):
            model.step(*next(batches))
        return batch_size * steps / (time.perf_counter() - begin)

    return run


def _images(data: Path, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    with open_showers(data) as reader:
        if len(reader) < batch_size:
            raise ConfigError(f"--batch {batch_size}: {data} holds {len(reader)} showers; use less")
        showers = reader.read(0, min(len(reader), 32 * batch_size))
    calorimeter = showers.calorimeter
    scaling = EnergyScaling(factor=100.0, threshold=calorimeter.cell_threshold)
    cells = GridImage(calorimeter).to_image(torch.from_numpy(showers.dense()))
    image = scaling.forward(cells).contiguous()
    energy = torch.from_numpy(showers.incident.energy).float()[:, None] / ENERGY_UNIT
    while True:
        for start in range(0, len(image) - batch_size + 1, batch_size):
            yield image[start : start + batch_size], energy[start : start + batch_size]


def _options(batch_size: int, steps: int, precision: str) -> list[str]:
    wanted = {"batch_size": batch_size, "max_steps": steps + 1, "precision": precision}
    given = [f"training.{name}={value}" for name, value in wanted.items()]
    return [*given, "training.accelerator=cpu"]


def _rate(data: Path, options: list[str], processes: int, *, apart: bool = False) -> float:
    """Showers per second of a whole training; ``apart``: on processes with one core each."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model"
        if apart:
            recipe = load_recipe(RECIPE, options).to_dict()
            request: dict[str, Any] = {"recipe": recipe, "data": [str(data)], "quiet": True}
            request |= {"output": str(output), "resume": False}
            launch("caloforge.cli.one_process", request, processes, _ONE_CORE)
        else:
            train(RECIPE, data, output, overrides=options)
        return float(read_description(output)["provenance"]["source"]["showers_per_second"])


def _scaling(
    data: Path, batch_size: int, steps: int, rounds: int, processes: int, tell: Tell
) -> list[Scaling]:
    counts = (1, processes)
    rates = np.zeros((rounds, 2))
    for number in range(rounds):
        for place, count in enumerate(counts):
            tell(f"{count} process{'es' if count > 1 else ''} (round {number + 1} of {rounds})")
            options = _options(batch_size * count, steps, PRECISIONS[1])
            rates[number, place] = _rate(data, options, count, apart=True)
    medians = np.median(rates, axis=0)
    efficiency = float(np.median(rates[:, 1] / rates[:, 0])) / processes
    return [
        Scaling(1, float(medians[0]), 1.0),
        Scaling(processes, float(medians[1]), efficiency),
    ]


def _read_rate(data: Path, batch_size: int) -> float:
    """Showers per second that a process can read if it keeps one in ``READERS`` of them."""
    source = StoredBlocks([data])
    share = max(1, min(batch_size, len(source) // READERS))
    plan = BatchPlan(source.blocks, share * READERS, 1, part=(0, READERS))
    loader = ShowerLoader(source, plan, reuse=True)
    steps = max(2, 20_000 // plan.batch_size)
    begin = 0.0
    for batch in loader.batches(0, steps + 1):
        begin = begin or time.perf_counter()
        last = batch.step
    return last * plan.batch_size / (time.perf_counter() - begin)
