"""``caloforge bench``: figures that the documentation quotes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from caloforge.cli.common import QUIET
from caloforge.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Measure performance; prints ratios.", no_args_is_help=True)
    group.command("generate")(generate)
    group.command("simulate")(simulate)
    group.command("io")(io)
    group.command("train")(train)
    group.command("serve")(serve)
    app.add_typer(group, name="bench")


def generate(
    models: list[Path] = typer.Argument(..., help="Models, exported files, or gflash."),
    engines: str = typer.Option(
        "auto", "--engine", help="Comma list of auto, compact, torch, onnx, openvino; or all."
    ),
    batch_sizes: str = typer.Option("1,128", "--batch", help="Comma list of batch sizes."),
    seconds: float = typer.Option(5.0, "--seconds", min=0.1, help="Time for each measurement."),
    geant4_ms: float | None = typer.Option(
        None, "--geant4-ms", help="Geant4's ms per shower; the recorded one when absent."
    ),
    json_file: Path | None = typer.Option(
        None, "--json", help="Write the figures to this file, with the machine's description."
    ),
    quiet: bool = QUIET,
) -> None:
    """Time generation per shower, beside Geant4's recorded time.

    Example:

      caloforge bench generate model library --batch 1,128

      caloforge bench generate lcd-ecal-25-3dgan gflash --engine all
    """
    from caloforge.bench import bench_generate, best_ratios
    from caloforge.bench.machine import machine

    try:
        sizes = [int(size) for size in batch_sizes.split(",")]
    except ValueError:
        raise ConfigError(f"--batch {batch_sizes}: expected numbers, as in --batch 1,128") from None
    rows = bench_generate(
        models,
        engines=engines.split(","),
        batch_sizes=sizes,
        seconds=seconds,
        geant4_ms=geant4_ms,
    )
    if json_file is not None:
        _write(json_file, {"machine": machine(), "timings": [asdict(row) for row in rows]})
    if quiet:
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in machine().items()))
    typer.echo(f"{'model':24s} {'engine':10s} {'batch':>6s} {'ms/shower':>10s} {'x Geant4':>10s}")
    for row in rows:
        ratio = "" if row.speedup is None else f"{row.speedup:10.1f}"
        typer.echo(f"{row.model:24s} {row.engine:10s} {row.batch_size:6d} {row.ms:10.3f} {ratio}")
    for size, other, faster in best_ratios(rows):
        typer.echo(f"batch {size}: {models[0].name} is {faster:.3g} times as fast as {other}")


def simulate(
    detector: str = typer.Argument("lcd-ecal", help="A detector with materials."),
    particle: str = typer.Option("e-", "--particle", help="What is shot."),
    energy: str = typer.Option("50", "--energy", help="GeV."),
    number: int = typer.Option(20, "-n", "--number", min=1, help="Showers per round."),
    workers: int = typer.Option(2, "--workers", min=2, help="Compared with one."),
    fast: list[str] | None = typer.Option(
        None, "--fast", help="A model that takes over inside Geant4; may be repeated."
    ),
    json_file: Path | None = typer.Option(
        None, "--json", help="Write the figures to this file, with the machine's description."
    ),
    quiet: bool = QUIET,
) -> None:
    """Time Geant4 without and with our scoring, one worker and many, with models, and gflash.

    Example:

      caloforge bench simulate lcd-ecal --energy 50 --workers 2

      caloforge bench simulate lcd-ecal --energy 50 --fast lcd-ecal-25-electron
    """
    from caloforge.bench import bench_simulate
    from caloforge.bench.machine import machine
    from caloforge.geometry import load_detector

    rows = bench_simulate(
        load_detector(detector),
        particle=particle,
        energy=energy,
        showers=number,
        workers=workers,
        fast=fast or [],
        progress=None if quiet else lambda text: typer.echo(f"measuring {text} ...", err=True),
    )
    if json_file is not None:
        asked = {"detector": detector, "particle": particle, "energy_gev": energy}
        timings = [asdict(row) for row in rows]
        _write(json_file, {"machine": machine(), **asked, "timings": timings})
    if quiet:
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in machine().items()))
    typer.echo(f"{'':27s} {'ms/GeV':>9s} {'showers/s':>10s}  ratio")
    meaning = {"overhead": "of bare Geant4", "workers": "x one worker", "engine": "x Geant4"}
    for row in rows:
        numbers = f"{row.ms_per_gev:9.4f} {row.showers_per_second:10.1f}"
        typer.echo(f"{row.what:27s} {numbers}  {row.ratio:.3g} {meaning[row.kind]}")


def serve(
    model: str = typer.Argument(..., help="Model folder, exported file or shipped name."),
    batches: str = typer.Option("1,16,128", "--batch", help="Comma list of batch sizes."),
    clients: str = typer.Option("1,32", "--clients", help="Comma list: how many ask at once."),
    seconds: float = typer.Option(5.0, "--seconds", min=0.1, help="Time for each measurement."),
    json_file: Path | None = typer.Option(
        None, "--json", help="Write the figures to this file, with the machine's description."
    ),
    quiet: bool = QUIET,
) -> None:
    """Time a service: requests per second and latency against its batch size, and an overload.

    Example:

      caloforge bench serve lcd-ecal-25-electron --batch 1,128 --clients 1,32
    """
    from caloforge.bench import bench_serve
    from caloforge.bench.machine import machine

    try:
        sizes, crowds = ([int(word) for word in text.split(",")] for text in (batches, clients))
    except ValueError:
        raise ConfigError("--batch, --clients: expected numbers, as in --batch 1,128") from None
    rows = bench_serve(
        model,
        batches=sizes,
        clients=crowds,
        seconds=seconds,
        progress=None if quiet else lambda text: typer.echo(f"measuring {text} ...", err=True),
    )
    if json_file is not None:
        found = {"machine": machine(), "model": model, "timings": [asdict(row) for row in rows]}
        _write(json_file, found)
    if quiet:
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in machine().items()))
    typer.echo("batch  clients  requests/s   p50 ms   p99 ms  refused  failed")
    for row in rows:
        typer.echo(
            f"{row.batch:5d} {row.clients:8d} {row.rate:11.1f} {row.p50:8.1f} {row.p99:8.1f} "
            f"{row.refused:8.1%} {row.failed:7d}"
        )


def io(
    data: Path = typer.Argument(..., help="A store file or a folder of shards."),
    layouts: str = typer.Option(
        "seed,tuned,caloforge", "--layouts", help="Comma list of what is compared."
    ),
    batch_size: int = typer.Option(128, "--batch", min=1, help="Showers per batch."),
    workers: int = typer.Option(2, "--workers", min=1, help="Processes or threads."),
    number: int | None = typer.Option(None, "-n", "--number", min=1, help="Use so many showers."),
    rounds: int = typer.Option(3, "--rounds", min=1, help="Passes over the data."),
    step_ms: float = typer.Option(10.0, "--step-ms", min=0, help="Length of a training step."),
    json_file: Path | None = typer.Option(
        None, "--json", help="Write the figures to this file, with the machine's description."
    ),
    quiet: bool = QUIET,
) -> None:
    """Time reading: showers per second from disk to dense training batches.

    Example:

      caloforge bench io showers.h5 --workers 2
    """
    from caloforge.bench import bench_io
    from caloforge.bench.machine import machine

    result = bench_io(
        data,
        layouts=layouts.split(","),
        batch_size=batch_size,
        workers=workers,
        showers=number,
        rounds=rounds,
        step_ms=step_ms,
        progress=None if quiet else lambda text: typer.echo(f"measuring {text} ...", err=True),
    )
    if json_file is not None:
        asked = {"data": data.name, "batch_size": batch_size, "workers": workers}
        _write(json_file, {"machine": machine(), **asked, **asdict(result)})
    if quiet:
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in machine().items()))
    typer.echo(f"{result.showers} showers, {result.dense_gb:.2f} GB as dense float32")
    typer.echo(f"{'':10s} {'showers/s':>10s} {'GB/s':>7s} {'bytes/shower':>13s}  ratio")
    for row in result.rows:
        numbers = f"{row.showers_per_second:10.0f} {row.gb_per_second:7.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
        typer.echo(f"{row.layout:10s} {numbers} {row.bytes_per_shower:13.0f}  {ratio}")
    limit = f"{result.limit_showers_per_second:10.0f} {result.limit_gb_per_second:7.2f}"
    typer.echo(f"{'memory':10s} {limit}  writing zeros to the batches, nothing else")
    if result.waiting_percent is not None:
        text = f"a training step of {result.step_ms:g} ms waits for {result.waiting_percent:.2f} %"
        typer.echo(f"{text} of the time")
    typer.echo(f"peak memory of this process: {result.peak_memory_mb:.0f} MB")


def train(
    data: Path = typer.Argument(..., help="A store of lcd-ecal-25 showers."),
    batch_size: int = typer.Option(8, "--batch", min=1, help="Showers per step and process."),
    steps: int = typer.Option(3, "--steps", min=1, help="Timed steps of each way and round."),
    rounds: int = typer.Option(3, "--rounds", min=1, help="How often the ways take turns."),
    processes: int = typer.Option(2, "--processes", min=2, help="Compared with one."),
    step_ms: float | None = typer.Option(
        None, "--step-ms", help="Computation per step for the prediction; that of here if absent."
    ),
    latency_us: float | None = typer.Option(
        None, "--latency", help="Network of the prediction: microseconds per message."
    ),
    bandwidth_gb: float | None = typer.Option(
        None, "--bandwidth", help="Network of the prediction: GB/s of a link."
    ),
    json_file: Path | None = typer.Option(
        None, "--json", help="Write the figures to this file, with the machine's description."
    ),
    quiet: bool = QUIET,
) -> None:
    """Time 3DGAN's training against a plain port, and on several processes.

    Example:

      caloforge bench train showers.h5

      caloforge bench train showers.h5 --step-ms 150 --latency 5 --bandwidth 12.5
    """
    from caloforge.bench import bench_train
    from caloforge.bench.machine import machine

    result = bench_train(
        data,
        batch_size=batch_size,
        steps=steps,
        rounds=rounds,
        processes=processes,
        step_ms=step_ms,
        latency_us=latency_us,
        bandwidth_gb=bandwidth_gb,
        progress=None if quiet else lambda text: typer.echo(f"measuring {text} ...", err=True),
    )
    if json_file is not None:
        _write(json_file, {"machine": machine(), "data": data.name, **asdict(result)})
    if quiet:
        return
    typer.echo(", ".join(f"{key} {value}" for key, value in machine().items()))
    for speed in result.speeds:
        rate = f"{speed.showers_per_second:9.2f} showers/s"
        typer.echo(f"{speed.what:22s} {rate}  {speed.ratio:.2f} x {result.speeds[0].what}")
    for row in result.scaling:
        name = f"{row.processes} process{'es' if row.processes > 1 else ''}, one core each"
        rate = f"{row.showers_per_second:9.2f} showers/s"
        typer.echo(f"{name:22s} {rate}  efficiency {100 * row.efficiency:.1f} %")
    here, network, step = result.here, result.network, result.step
    for name, link in (("between processes here", here), ("network asked about", network)):
        numbers = f"{1e6 * link.latency:.3g} us, {link.bandwidth / 1e9:.3g} GB/s"
        typer.echo(f"{name}: {numbers}")
    summed = f"{len(step.messages)} sums of {sum(step.messages) / 1e6:.3g} MB in all"
    typer.echo(f"a step: {1000 * step.seconds:.4g} ms, {summed}; reads {step.read_rate:.3g}/s")
    for world, efficiency in result.predicted.items():
        typer.echo(f"predicted on {world:3d} processes: {100 * efficiency:.1f} %")
    for name, efficiency in result.published.items():
        typer.echo(f"published, {name}: {100 * efficiency:.0f} %")


def _write(path: Path, content: dict[str, Any]) -> None:
    from caloforge.atomic import atomic_file

    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
