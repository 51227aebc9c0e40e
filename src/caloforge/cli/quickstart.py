"""``caloforge quickstart``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import QUIET, warnings_as_notes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quickstart")(quickstart)


def quickstart(
    output: Path = typer.Option(Path("quickstart"), "--output", "-o", help="Folder to write."),
    seed: int = typer.Option(1, "--seed", min=0, help="Seed of training and generation."),
    steps: int | None = typer.Option(
        None, "--steps", min=1, help="Training steps of 3DGAN; the recipe's when absent."
    ),
    quiet: bool = QUIET,
) -> None:
    """The whole chain on bundled Geant4 showers, in a few minutes.

    Example:

      caloforge quickstart -o quickstart
    """
    from caloforge.quickstart import quickstart as run
    from caloforge.quickstart import table

    with warnings_as_notes():
        outcome = run(output, say=_silent if quiet else typer.echo, seed=seed, steps=steps)
    typer.echo("")
    typer.echo(table(outcome))
    typer.echo(f"\nfinished in {outcome.seconds:.0f} s; reports:")
    for path in outcome.reports.values():
        typer.echo(f"  {path}/index.html")


def _silent(_: str) -> None:
    """Say nothing."""
