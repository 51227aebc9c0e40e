"""``caloforge export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from caloforge.cli.common import JSON, QUIET, report

if TYPE_CHECKING:
    from caloforge.export.quantised import Precision


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    model: Path = typer.Argument(..., help="A shipped model or a model folder."),
    output: Path = typer.Option(
        ..., "--output", "-o", help="File to write (.onnx, .pt, .xml, by the target)."
    ),
    target: str = typer.Option(
        "onnx", "--target", help="onnx, par04, par04-calodit, ddml, fastcalosim, ..."
    ),
    precision: str = typer.Option(
        "full", "--precision", help="onnx: full, float32, bf16, int8 (weights)."
    ),
    reference: Path | None = typer.Option(
        None, "--reference", help="Geant4 showers to judge bf16 and int8 by."
    ),
    max_loss: float = typer.Option(
        0.1, "--max-loss", min=0.0, help="Allowed growth of the mean separation power by them."
    ),
    rebin: str | None = typer.Option(
        None, "--rebin", help="par04: share the showers among this detector's cells."
    ),
    particle: str | None = typer.Option(
        None, "--particle", help="For a model of several particles, where the host tells none."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Export a model, with its whole preprocessing, for other software.

    Examples:

      caloforge export model -o model.onnx

      caloforge export model --target par04 -o par04.onnx

      caloforge export model --precision int8 --reference geant4.h5 -o small.onnx
    """
    from caloforge.api import export as run
    from caloforge.beam import pdg_code
    from caloforge.export.targets import TARGETS

    chosen: Precision = precision  # type: ignore[assignment]
    path = run(
        model,
        output,
        target=target,
        precision=chosen,
        reference=reference,
        max_loss=max_loss,
        rebin=rebin,
        particle=None if particle is None else pdg_code(particle),
    )
    beside = [str(path.with_suffix(ending)) for ending in TARGETS[target].beside]
    size = path.stat().st_size
    summary = f"{path}: {size / 1e6:.1f} MB; with it {', '.join(beside)}"
    result = {"path": str(path), "metadata": str(path.with_suffix(".json")), "bytes": size}
    report(summary, {**result, "beside": beside}, quiet, as_json)
