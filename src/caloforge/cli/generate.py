"""``caloforge generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from caloforge.cli.common import (
    DASK,
    JSON,
    QUIET,
    WORKERS,
    executor,
    note,
    report,
    shower_progress,
    warnings_as_notes,
)
from caloforge.errors import ConfigError

if TYPE_CHECKING:
    from caloforge.runtime import Engine
    from caloforge.showers import Incident
    from caloforge.tasks import Executor, Result


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate")(generate)


def generate(
    model: Path = typer.Argument(..., help="A shipped model, a folder or an exported file."),
    output: Path = typer.Option(
        ..., "--output", "-o", help="Store file (.h5) to write, or a folder of shards."
    ),
    energy: str | None = typer.Option(
        None, "--energy", help="GeV: a value, lo:hi, log:lo:hi, or a comma list."
    ),
    number: int | None = typer.Option(None, "-n", "--number", min=1, help="Number of showers."),
    theta: str | None = typer.Option(
        None, "--theta", help="Degrees, as --energy; 90 is normal incidence."
    ),
    phi: str | None = typer.Option(None, "--phi", help="Degrees around the z axis, as --energy."),
    particle: str | None = typer.Option(
        None, "--particle", help="Recorded in the file: e-, gamma, ... or a PDG code."
    ),
    like: Path | None = typer.Option(
        None, "--like", help="Copy the incident particles of this store file."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Same seed, same showers."),
    engine: str = typer.Option("auto", "--engine", help="auto, compact, torch, onnx, openvino."),
    batch_size: int = typer.Option(128, "--batch-size", min=1, help="Showers per engine call."),
    workers: int = WORKERS,
    dask: str | None = DASK,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Generate showers from a trained model.

    The showers depend on the seed alone, not on the number of workers. An interrupted run goes on
    when the same command is given again.

    Examples:

      caloforge generate model --energy 50 -n 1000 --seed 1 -o generated.h5

      caloforge generate model --like geant4.h5 -o generated.h5

      caloforge generate model --energy 10:100 -n 1000000 --workers 16 -o generated
    """
    from caloforge.generate import generate_sharded, open_engine
    from caloforge.showers import file_digest

    if (energy is None) == (like is None):
        raise ConfigError("give either --energy (with -n) or --like FILE")
    opened = open_engine(model, engine, batch_size=batch_size)
    asked = {"theta": theta, "phi": phi, "particle": particle}
    incident = _incident(opened, number, energy, asked, like, seed)
    with warnings_as_notes(), shower_progress("generating", quiet) as show:
        done = generate_sharded(
            opened,
            model,
            incident,
            output,
            executor=_where(workers, dask),
            seed=seed,
            batch_size=batch_size,
            config={"energy": energy, **asked},
            inputs={} if like is None else {f"like {like.name}": file_digest(like)},
            progress=show,
        )
    if done.resumed and not quiet:
        note(f"{done.resumed} showers were there from an interrupted run")
    made = max(1, done.showers - done.resumed)
    result: dict[str, Any] = {
        "path": done.path,
        "showers": done.showers,
        "empty": done.empty,
        "resumed": done.resumed,
        "generation_ms": 1e3 * (done.engine_seconds or 0.0) / done.showers,
        "total_ms": 1e3 * done.elapsed / made,
    }
    report(_summary(done, result, opened.name), result, quiet, as_json)


def _incident(
    engine: Engine,
    number: int | None,
    energy: str | None,
    asked: dict[str, Any],
    like: Path | None,
    seed: int,
) -> Incident:
    """The particles that were asked for, or those of a file."""
    from caloforge.beam import like as like_file
    from caloforge.beam import particles
    from caloforge.beam.particles import listed

    if like is None:
        assert energy is not None
        return particles(number or listed(energy), energy, **asked, seed=seed)
    if any(value is not None for value in asked.values()):
        raise ConfigError(
            "--like copies angles and particles; leave --theta, --phi and --particle out"
        )
    return like_file(like, number, engine.description["condition"])


def _summary(done: Result, result: dict[str, Any], engine: str) -> str:
    empty = f", {done.empty} of them empty" if done.empty else ""
    return (
        f"{done.path}: {done.showers} showers{empty}, {result['generation_ms']:.2f} ms per shower "
        f"with {engine} ({result['total_ms']:.2f} ms with writing)"
    )


def _where(workers: int, dask: str | None) -> Executor:
    """This process unless others are asked for."""
    from caloforge.tasks import InProcess

    return InProcess() if workers == 1 and dask is None else executor(workers, dask)
