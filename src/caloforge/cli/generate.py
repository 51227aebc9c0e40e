"""``caloforge generate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, progress, report, warnings_as_notes
from caloforge.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate")(generate)


def generate(
    model: Path = typer.Argument(..., help="A shipped model, a folder or an .onnx file."),
    output: Path = typer.Option(..., "--output", "-o", help="Store file to write."),
    energy: str | None = typer.Option(
        None, "--energy", help="GeV: a value, lo:hi, log:lo:hi, or a comma list."
    ),
    number: int | None = typer.Option(None, "-n", "--number", min=1, help="Number of showers."),
    theta: str | None = typer.Option(
        None, "--theta", help="Degrees, as --energy; 90 is normal incidence."
    ),
    particle: str | None = typer.Option(
        None, "--particle", help="Recorded in the file: e-, gamma, ... or a PDG code."
    ),
    like: Path | None = typer.Option(
        None, "--like", help="Copy the incident particles of this store file."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Same seed, same showers."),
    engine: str = typer.Option("auto", "--engine", help="auto, compact, torch, onnx."),
    batch_size: int = typer.Option(128, "--batch-size", min=1, help="Showers per engine call."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Generate showers from a trained model.

    Examples:

      caloforge generate model --energy 50 -n 1000 --seed 1 -o generated.h5

      caloforge generate model --like geant4.h5 -o generated.h5
    """
    from caloforge.beam import like as like_file
    from caloforge.beam import particles
    from caloforge.generate import generate_to_store, open_engine
    from caloforge.showers import file_digest

    if (energy is None) == (like is None):
        raise ConfigError("give either --energy (with -n) or --like FILE")
    opened = open_engine(model, engine)
    if like is not None and (theta is not None or particle is not None):
        raise ConfigError("--like copies angles and particles; leave --theta and --particle out")
    if like is not None:
        incident = like_file(like, number, opened.description["condition"])
    else:
        assert energy is not None
        incident = particles(number or 1, energy, theta=theta, particle=particle, seed=seed)
    with warnings_as_notes(), progress("generating", quiet) as advance:
        done = generate_to_store(
            opened,
            incident,
            output,
            seed=seed,
            batch_size=batch_size,
            config={"energy": energy, "theta": theta, "particle": particle},
            inputs={} if like is None else {f"like {like.name}": file_digest(like)},
            progress=advance,
        )
    empty = f", {done.empty} of them empty" if done.empty else ""
    summary = (
        f"{done.path}: {done.showers} showers{empty}, {done.generation_ms:.2f} ms per shower "
        f"with {opened.name} ({done.total_ms:.2f} ms with writing)"
    )
    report(summary, asdict(done), quiet, as_json)
