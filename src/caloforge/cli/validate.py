"""``caloforge validate``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, note, report, warnings_as_notes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    reference: Path = typer.Argument(..., help="Store file with the reference (Geant4) showers."),
    generated: list[Path] = typer.Argument(..., help="Store files with generated showers."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the report."),
    training: Path | None = typer.Option(
        None, "--training", help="Training showers, for the memorisation check."
    ),
    name: list[str] | None = typer.Option(
        None, "--name", help="What to call a generated sample in the report; one for each."
    ),
    require: list[str] | None = typer.Option(
        None, "--require", help="A figure's limit; exit code 1 when missed. Repeat for more."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Fixes the splits and classifiers."),
    quick: bool = typer.Option(False, "--quick", help="Two classifier seeds instead of five."),
    classifiers: bool = typer.Option(
        True, "--classifiers/--no-classifiers", help="Train classifiers: most of the time."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Judge generated showers against reference showers.

    Several generated files are compared in one report.

    Examples:

      caloforge validate geant4.h5 generated.h5 -o report

      caloforge validate geant4.h5 generated.h5 --training train.h5 -o report

      caloforge validate geant4.h5 gan.h5 flow.h5 --name GAN --name flow -o report

      caloforge validate geant4.h5 generated.h5 -o report --require 'auc.low<0.6'
    """
    from caloforge.validate import validate as run

    with warnings_as_notes():
        done = run(
            reference,
            generated,
            output,
            training=training,
            name=name or None,
            require=require or (),
            seed=seed,
            quick=quick,
            classifiers=classifiers,
            progress=None if quiet else _stage,
        )
    report(f"{done.path}/index.html", done.metrics, quiet, as_json)
    for text in done.missed:
        note(text)
    if not done.passed:
        raise typer.Exit(1)


def _stage(text: str) -> None:
    import sys

    if sys.stderr.isatty():
        note(text)
