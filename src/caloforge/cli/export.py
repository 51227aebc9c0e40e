"""``caloforge export``."""

from __future__ import annotations

from pathlib import Path

import typer

from caloforge.cli.common import JSON, QUIET, report
from caloforge.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    model: Path = typer.Argument(..., help="A model folder."),
    output: Path = typer.Option(..., "--output", "-o", help="File to write (.onnx)."),
    target: str = typer.Option("onnx", "--target", help="onnx."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Export a model, with its whole preprocessing, for other software.

    Example:

      caloforge export model -o model.onnx
    """
    if target != "onnx":
        raise ConfigError(f"--target {target}: choose onnx")
    from caloforge.api import export as run

    path = run(model, output)
    size = path.stat().st_size
    summary = f"{path}: {size / 1e6:.1f} MB, metadata in {path.with_suffix('.json')}"
    result = {"path": str(path), "metadata": str(path.with_suffix(".json")), "bytes": size}
    report(summary, result, quiet, as_json)
