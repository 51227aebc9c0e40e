"""``caloforge convert``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, note, progress, report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert)


def convert(
    inputs: list[Path] = typer.Argument(..., help="Shower files, of one geometry."),
    output: Path = typer.Option(..., "--output", "-o", help="File to write."),
    from_: str | None = typer.Option(
        None, "--from", help="Input format; found from the content when absent."
    ),
    to: str = typer.Option("caloforge", "--to", help="Output format: caloforge, lcd, lcd-angle."),
    detector: str | None = typer.Option(
        None, "--detector", help="Calorimeter of the input: a name or a YAML file."
    ),
    drop_empty: bool = typer.Option(
        False, "--drop-empty", help="Leave out showers without energy instead of failing."
    ),
    limit: int | None = typer.Option(None, "--limit", min=1, help="Stop after this many showers."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Convert shower files between formats.

    Examples:

      caloforge convert lcd_electrons.h5 -o showers.h5

      caloforge convert showers.h5 --to lcd -o lcd_electrons.h5
    """
    from caloforge.conversion import convert as run

    with progress("converting", quiet) as advance:
        done = run(
            inputs,
            output,
            from_=from_,
            to=to,
            detector=detector,
            drop_empty=drop_empty,
            limit=limit,
            progress=advance,
        )
    for text in done.notes:
        note(text)
    dropped = f", {done.dropped} empty ones dropped" if done.dropped else ""
    result = {"path": str(done.path), "showers": done.showers, "dropped": done.dropped}
    summary = f"{done.path}: {done.showers} showers{dropped}"
    report(summary, {**result, "notes": list(done.notes)}, quiet, as_json)
