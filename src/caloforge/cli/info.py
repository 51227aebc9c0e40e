"""``caloforge info``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from caloforge.cli.common import JSON, QUIET, progress, report
from caloforge.errors import ConfigError
from caloforge.shipped import model_path

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.showers import Provenance


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("info")(info)


def info(
    path: Path = typer.Argument(..., help="Showers, or a model."),
    check: bool = typer.Option(
        False, "--check", help="Read every shower and name the damaged ones; 1 if there are any."
    ),
    detector: str | None = typer.Option(
        None, "--detector", help="Calorimeter of the showers, where the format does not say."
    ),
    card: bool = typer.Option(
        False, "--card", help="Of a model: its card as JSON, for catalogues and people."
    ),
    metrics: Path | None = typer.Option(
        None, "--metrics", help="With --card: metrics.json of the model's validation."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Say what a shower file or a model is.

    Examples:

      caloforge info showers.h5

      caloforge info model

      caloforge info data --check

      caloforge info model --card --metrics report/metrics.json > card.json
    """
    from caloforge.geometry import load_detector

    if card or metrics is not None:
        _card(path, metrics)
        return
    known = load_detector(detector) if detector else None
    if check:
        _check(path, known, quiet, as_json)
        return
    result = _model(path) if _is_model(path) else _showers(path, known)
    lines = [f"{key:18s} {value}" for key, value in result.items() if key != "provenance"]
    report("\n".join(lines), result, quiet, as_json)


def _card(path: Path, metrics: Path | None) -> None:
    from caloforge.card import model_card

    if not _is_model(path):
        raise ConfigError(f"{path}: --card and --metrics are of models; this is none")
    typer.echo(json.dumps(model_card(model_path(path), metrics), indent=2))


def _check(path: Path, detector: Calorimeter | None, quiet: bool, as_json: bool) -> None:
    """Print what is damaged; exit code 1 if anything is."""
    from caloforge.conversion import check as run

    with progress("checking", quiet) as advance:
        files = run(path, detector=detector, progress=advance)
    showers, lost = sum(file.showers for file in files), sum(file.lost for file in files)
    bad = [file for file in files if file.damage]
    lines = [f"{file.path}: {damage}" for file in bad for damage in file.damage]
    advice = f"; save the others: caloforge convert {path} --salvage -o NEW" if bad else ""
    lines.append(f"{path}: {showers} showers in {len(files)} files, {lost} lost{advice}")
    result = {
        "path": str(path),
        "showers": showers,
        "lost": lost,
        "files": len(files),
        "damaged": {str(file.path): [asdict(damage) for damage in file.damage] for file in bad},
    }
    report("\n".join(lines), result, quiet, as_json)
    if bad:
        raise typer.Exit(1)


def _is_model(path: Path) -> bool:
    path = model_path(path)
    return path.suffix == ".onnx" or (path / "artifact.json").exists()


def _model(path: Path) -> dict[str, Any]:
    path = model_path(path)
    if path.is_dir():
        from caloforge.artifact import read_description

        description = read_description(path)
    else:
        from caloforge.runtime import OnnxEngine

        description = OnnxEngine(path).description
        description = {k: v for k, v in description.items() if k != "geometry"}
    return {"path": str(path), **description}


def _showers(path: Path, detector: Calorimeter | None) -> dict[str, Any]:
    from caloforge.sources import detect

    source = detect(path)
    with source.open(path, detector) as reader:
        n, hits, low, high, visible = 0, 0, float("inf"), 0.0, 0.0
        incident = 0.0
        for batch in reader.batches(1000):
            n += len(batch)
            hits += batch.n_hits
            energy = batch.incident.energy
            low, high = min(low, energy.min()), max(high, energy.max())
            visible += float(batch.total_energy.sum())
            incident += float(energy.sum())
            columns = list(batch.incident)
        calorimeter = reader.calorimeter
        return {
            "path": str(path),
            "format": source.name,
            "showers": n,
            "detector": calorimeter.name,
            "geometry_hash": calorimeter.hash,
            "cells": calorimeter.n_cells,
            "incident": ", ".join(columns),
            "energy_gev": f"{low / 1000:.4g} to {high / 1000:.4g}",
            "hits_per_shower": round(hits / n, 1),
            "sampling_fraction": round(visible / incident, 5),
            "made_by": _made_by(reader.provenance),
            "provenance": reader.provenance.to_dict(),
        }


def _made_by(provenance: Provenance) -> str:
    """The last step in one line; ``--json`` has all of it."""
    config, source = provenance.config, provenance.source
    tuning = config.get("tuning")
    words = {
        "engine": config.get("engine"),
        "generator": source.get("generator"),
        "physics": config.get("physics"),
        "tuning": tuning.get("name") if isinstance(tuning, Mapping) else None,
        "seed": provenance.seed,
    }
    said = [f"{name} {value}" for name, value in words.items() if value is not None]
    return "; ".join([f"caloforge {provenance.version} {provenance.step}", *said])
