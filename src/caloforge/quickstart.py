"""The whole chain on bundled Geant4 showers: convert, train, generate, validate, export, time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from caloforge.api import export, train
from caloforge.artifact import make_folder
from caloforge.beam import like
from caloforge.bench import Timing, bench_generate
from caloforge.conversion import convert
from caloforge.generate import generate_to_store, open_engine
from caloforge.validate import validate

SAMPLES = ("electrons_train", "electrons_test")
MODELS = {"library": "library", "3dgan": "3dgan-quickstart"}
"""Model folder -> recipe."""

SHIPPED = "lcd-ecal-25-electron"
"""The trained model that comes with Caloforge and is judged beside them."""

BATCHES = (1, 32)
"""Batch sizes of the timing."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """The figures of the models, their timings, and the folders of the reports."""

    metrics: Mapping[str, dict[str, Any]]
    timings: list[Timing]
    reports: Mapping[str, Path]
    seconds: float


def quickstart(
    output: str | Path, *, say: Say = print, seed: int = 1, steps: int | None = None
) -> Outcome:
    """Run the chain into the folder ``output``.

    Args:
        output: folder to write; made if its parent is there.
        say: told every step.
        seed: seed of training and generation.
        steps: training steps of 3DGAN; the recipe's when None.

    Raises:
        CaloforgeError: see the message.
    """
    start = time.monotonic()
    folder = Path(output)
    make_folder(folder)
    for name in SAMPLES:
        with as_file(files("caloforge") / "samples" / f"{name}.h5") as sample:
            done = convert(sample, folder / f"{name}.h5")
        say(f"converted {done.showers} Geant4 electrons to {done.path}")
    train_file, test_file = (folder / f"{name}.h5" for name in SAMPLES)
    metrics: dict[str, dict[str, Any]] = {}
    reports: dict[str, Path] = {}
    for name, recipe in MODELS.items():
        overrides = [f"training.seed={seed}"]
        if steps is not None and name == "3dgan":
            overrides.append(f"training.max_steps={steps}")
        say(f"training {name} (recipe {recipe})")
        shutil.rmtree(folder / name, ignore_errors=True)
        train(recipe, train_file, folder / name, overrides=overrides, quiet=False)
    for name in (*MODELS, SHIPPED):
        trained = folder / name if name in MODELS else Path(SHIPPED)
        engine = open_engine(trained)
        incident = like(test_file, None, engine.description["condition"])
        generated = folder / f"{name}.h5"
        made = generate_to_store(engine, incident, generated, seed=seed)
        say(f"generated {made.showers} showers with {name} in {generated}")
        report = validate(
            test_file,
            generated,
            folder / f"report-{name}",
            training=train_file,
            name=name,
            quick=True,
        )
        assert report.path is not None
        metrics[name], reports[name] = report.metrics, report.path
        say(f"validated {name}: {report.path}/index.html")
    exported = export(folder / "3dgan", folder / "3dgan.onnx")
    say(f"exported 3dgan to {exported}")
    models = [folder / "library", folder / "3dgan", exported, Path(SHIPPED)]
    timings = bench_generate(models, batch_sizes=BATCHES, seconds=1.0)
    return Outcome(metrics, timings, reports, time.monotonic() - start)


ROWS = (
    ("separation, total energy", ("separation", "etot_over_einc")),
    ("separation, layer energies", ("separation", "layer_energy")),
    ("separation, cell energies", ("separation", "cell_energy")),
    ("separation, hits", ("separation", "hits")),
    ("AUC, shower shapes", ("auc", "high", "mean")),
    ("AUC, cells", ("auc", "low", "mean")),
    ("memorisation p-value", ("memorisation", "p_value")),
)
"""The figures of the closing table, and where metrics.json keeps them."""


def table(outcome: Outcome) -> str:
    """The closing table: each figure beside its Geant4-against-Geant4 floor."""
    names = list(outcome.metrics)
    lines = [
        f"{'':28s} {'Geant4 floor':>13s}" + "".join(f" {name:>{_wide(name)}s}" for name in names)
    ]
    for label, path in ROWS:
        floor = _look_up(outcome.metrics[names[0]]["floor"], path)
        found = [_look_up(outcome.metrics[name], path) for name in names]
        lines.append(
            f"{label:28s} {floor:>13s}"
            + "".join(f" {value:>{_wide(name)}s}" for name, value in zip(names, found, strict=True))
        )
    lines.append("")
    lines.append(f"{'ms per shower':32s} {'batch 1':>9s} {'batch 32':>12s}")
    by_model: dict[str, dict[int, Timing]] = {}
    for row in outcome.timings:
        by_model.setdefault(f"{row.model} ({row.engine})", {})[row.batch_size] = row
    for label, sizes in by_model.items():
        one, many = (sizes.get(size) for size in BATCHES)
        first = f"{one.ms:.3g}" if one else ""
        second = f"{many.ms:.3g}" if many else ""
        best = max((row.speedup or 0.0) for row in sizes.values())
        times = f"   {best:.0f} x faster than Geant4" if best > 1.5 else ""
        lines.append(f"{label:32s} {first:>9s} {second:>12s}{times}")
    return "\n".join(lines)


def _wide(name: str) -> int:
    return max(12, len(name))


def _look_up(metrics: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = metrics
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return "-" if value is None else f"{value:.3g}"
