"""``caloforge info``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from caloforge.cli.common import JSON, report
from caloforge.shipped import model_path

if TYPE_CHECKING:
    from caloforge.showers import Provenance


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("info")(info)


def info(
    path: Path = typer.Argument(..., help="Showers, or a model."),
    as_json: bool = JSON,
) -> None:
    """Say what a shower file or a model is.

    Examples:

      caloforge info showers.h5

      caloforge info model
    """
    result = _model(path) if _is_model(path) else _showers(path)
    lines = [f"{key:18s} {value}" for key, value in result.items() if key != "provenance"]
    report("\n".join(lines), result, False, as_json)


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


def _showers(path: Path) -> dict[str, Any]:
    from caloforge.sources import detect

    source = detect(path)
    with source.open(path) as reader:
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
