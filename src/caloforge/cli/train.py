"""``caloforge train``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    recipe: str = typer.Argument(..., help="Name (see 'caloforge models') or YAML file."),
    data: list[Path] = typer.Option(..., "--data", help="Training showers; repeat for more."),
    output: Path = typer.Option(..., "--output", "-o", help="Model folder to write."),
    overrides: list[str] = typer.Option(
        [], "--set", help="Change the recipe: training.epochs=3, model.learning_rate=1e-4."
    ),
    devices: int | None = typer.Option(
        None, "--devices", min=1, help="Processes on this machine, one for each GPU."
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Continue an interrupted run from its checkpoint."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Train a model from a recipe.

    Examples:

      caloforge train 3dgan-cpu --data showers.h5 -o model --set training.epochs=3

      caloforge train 3dgan --data showers.h5 -o model --devices 4

      caloforge train library --data showers.h5 -o library
    """
    from caloforge.api import train as run
    from caloforge.artifact import read_description
    from caloforge.train.processes import find_processes

    if devices is not None:
        overrides = [*overrides, f"training.devices={devices}"]
    path = run(recipe, data, output, overrides=overrides, resume=resume, quiet=quiet)
    if not find_processes().first:
        return  # one of them tells
    source = read_description(path)["provenance"]["source"]
    summary = (
        f"{path}: trained on {source['training_showers']} showers, "
        f"{source['training_steps']} steps, {source['training_seconds']:.0f} s"
    )
    report(summary, {"path": str(path), **source}, quiet, as_json)
