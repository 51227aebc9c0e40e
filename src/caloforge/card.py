"""A model's card: what it is, what it was made from, what it can be used for, as JSON.

For catalogues and for people; every value is taken from what the commands wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.errors import FormatError, one_line
from caloforge.geometry import Calorimeter
from caloforge.runtime import OnnxEngine, OpenVinoEngine
from caloforge.showers import file_digest

SCHEMA = 1

UNITS = {"energy": "MeV", "theta": "rad", "phi": "rad", "pdg": "PDG code"}
"""Of the condition columns; mm otherwise."""

FIGURES = ("separation", "auc", "fpd", "kpd", "response", "cells", "memorisation", "diversity")
"""What a card takes from metrics.json, with the same of the floor."""

EXPORTED = {".onnx": OnnxEngine, ".xml": OpenVinoEngine}

ORDER = "layer by layer, inside a layer the first index (x or r) times the second's number plus it"


def model_card(model: str | Path, metrics: str | Path | None = None) -> dict[str, Any]:
    """The card of a model folder or an exported file.

    Args:
        model: folder, or ``.onnx`` or ``.xml`` file.
        metrics: metrics.json of its validation.

    Raises:
        ModelError: not a model.
        FormatError: ``metrics`` is not a metrics.json.
    """
    path = Path(model)
    description, calorimeter, weights = _read(path)
    source = description["provenance"].get("source", {})
    return {
        "card": SCHEMA,
        "name": path.stem,
        "kind": description["kind"],
        "caloforge": description["provenance"].get("version"),
        "parameters": description["parameters"],
        "weights_sha256": weights,
        "detector": {
            "name": calorimeter.name,
            "description": calorimeter.description,
            "geometry_hash": calorimeter.hash,
            "layers": calorimeter.n_layers,
            "cells": calorimeter.n_cells,
            "cell_threshold_mev": calorimeter.cell_threshold,
        },
        "particles": source.get("training_particles"),
        "conditions": _conditions(description, source),
        "noise": description["latent"],
        "output": {"unit": "MeV", "cells": calorimeter.n_cells, "order": ORDER},
        "data": {
            "showers": source.get("training_showers"),
            "generator": _found(description["provenance"], "generator"),
            "inputs": description["provenance"].get("inputs", {}),
        },
        "training": {
            "config": description["provenance"].get("config", {}),
            "seed": description["provenance"].get("seed"),
            "steps": source.get("training_steps"),
            "seconds": source.get("training_seconds"),
            "precision": source.get("training_precision"),
        },
        "figures": None if metrics is None else _figures(Path(metrics)),
    }


def _read(path: Path) -> tuple[dict[str, Any], Calorimeter, str]:
    """Description, geometry and digest of the weights."""
    if path.suffix in EXPORTED:
        engine = EXPORTED[path.suffix](path)
        return engine.description, engine.calorimeter, next(iter(engine.inputs.values()))
    from caloforge.artifact import read_description

    description = read_description(path)
    geometry = Calorimeter.from_file(path / "geometry.yaml")
    return description, geometry, file_digest(path / "weights.safetensors")


def _conditions(description: Mapping[str, Any], source: Mapping[str, Any]) -> list[dict[str, Any]]:
    ranges = source.get("training_ranges", {})
    return [
        {"name": name, "unit": UNITS.get(name, "mm"), "trained": ranges.get(name)}
        for name in description["condition"]
    ]


def _found(provenance: Mapping[str, Any], key: str) -> Any:
    """The first value of a key in a provenance and its parents."""
    if key in provenance.get("source", {}):
        return provenance["source"][key]
    values = (_found(parent, key) for parent in provenance.get("parents", []))
    return next((value for value in values if value is not None), None)


def _figures(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: metrics[name] for name in FIGURES if name in metrics}
        floor = metrics["floor"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}: not a metrics.json ({one_line(error)}); make one with 'caloforge validate'"
        ) from None
    reference = metrics.get("reference", {})
    return {
        "reference": {"name": reference.get("name"), "showers": reference.get("n")},
        **kept,
        "floor": {name: floor[name] for name in FIGURES if name in floor},
    }
