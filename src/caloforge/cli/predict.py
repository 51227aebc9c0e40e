"""``caloforge predict``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, progress, report, warnings_as_notes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    model: Path = typer.Argument(..., help="Folder of a trained predictor."),
    showers: list[Path] = typer.Argument(..., help="Store files; together they are one sample."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the report."),
    batch_size: int = typer.Option(128, "--batch-size", min=1, help="Showers per call."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Predict particle, energy and angles of showers, and compare with the truth.

    Writes predictions.parquet (a row per shower), predictions.json and a report.

    Examples:

      caloforge train trees --data e.h5 --data gamma.h5 -o trees

      caloforge predict trees e_test.h5 gamma_test.h5 -o report

      caloforge predict trees generated.h5 -o on-generated
    """
    from caloforge.predict import predict as run
    from caloforge.predict.report.html import headline

    with warnings_as_notes(), progress("predicting", quiet) as advance:
        done = run(model, showers, output, batch_size=batch_size, progress=advance)
    summary = f"{headline(done.metrics)}\n{done.path}/index.html"
    report(summary, done.metrics, quiet, as_json)
