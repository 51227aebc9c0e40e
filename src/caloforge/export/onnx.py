"""ONNX export with the inverse preprocessing and the cell threshold inside the graph.

Inputs ``condition`` (B, C) in MeV, rad, mm and ``noise`` (B, latent); output ``energy``
(B, n_cells) in MeV. The metadata (geometry, units, provenance) is inside the file, and beside it
as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge.artifact import Artifact, load_artifact
from caloforge.atomic import atomic_file, check_folder
from caloforge.errors import ConfigError, ModelError
from caloforge.export.graph import tidy, translations
from caloforge.runtime.noise import shower_noise
from caloforge.runtime.onnx_engine import METADATA, OnnxEngine

OPSET = 18
TOLERANCE = 1e-4
"""Largest relative difference to torch on cells above the threshold."""


def export_onnx(model: str | Path | Artifact, output: str | Path) -> Path:
    """Write ``output`` (.onnx) and the JSON metadata beside it; check both against torch.

    Raises:
        ConfigError: ``output`` does not end in .onnx.
        ModelError: the model is unreadable or has no network, or the export disagrees with torch.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    output = Path(output)
    if not artifact.model.exportable:
        raise ModelError(
            f"{artifact.path}: model '{artifact.model.kind}' cannot be exported to ONNX; "
            "run it with 'caloforge generate --engine torch'"
        )
    if output.suffix != ".onnx":
        raise ConfigError(f"{output}: an export ends in .onnx; write to {output.stem}.onnx")
    side = output.with_suffix(".json")
    for target in (output, side):
        check_folder(target)
    metadata = _metadata(artifact)
    graph = _graph(artifact)
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(metadata)
    with atomic_file(output) as partial, atomic_file(side) as partial_side:
        partial.write_bytes(graph.SerializeToString())
        partial_side.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
        _compare(artifact, partial)
    return output


def _metadata(artifact: Artifact) -> dict[str, Any]:
    angles = {"theta": "rad", "phi": "rad"}
    units = {"energy": "MeV", "pdg": "PDG code", **angles, "x": "mm", "y": "mm", "z": "mm"}
    return {
        **artifact.description,
        "geometry": artifact.calorimeter.to_yaml(),
        "inputs": {
            "condition": [f"{name} [{units[name]}]" for name in artifact.model.condition_columns],
            "noise": f"{artifact.model.latent.size} numbers, {artifact.model.latent.distribution}",
        },
        "output": "energy [MeV] per cell, layer by layer; cells below the threshold are zero",
    }


def _example(artifact: Artifact, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Conditions from 10 to 100 GeV at normal incidence, the particles in turn, and noise."""
    model = artifact.model
    condition = np.zeros((n, len(model.condition_columns)), dtype=np.float32)
    for column, name in enumerate(model.condition_columns):
        if name == "energy":
            condition[:, column] = np.linspace(1e4, 1e5, n)
        elif name == "theta":
            condition[:, column] = np.pi / 2
        elif name == "pdg":
            condition[:, column] = np.resize(model.particles or (11,), n)
    noise = shower_noise(0, 0, n, model.latent.size, model.latent.distribution)
    return torch.from_numpy(condition), torch.from_numpy(noise)


def _graph(artifact: Artifact) -> Any:
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    model = artifact.model.eval().cpu()
    shapes = {"condition": {0: batch}, "noise": {0: batch}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            _example(artifact, 2),
            input_names=["condition", "noise"],
            output_names=["energy"],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            custom_translation_table=translations(),
            optimize=False,  # it takes every number within 1e-5 of 1 for 1
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"{artifact.path}: torch made no ONNX program; use another torch version")
    tidy(program.model)
    return program.model_proto


def _compare(artifact: Artifact, file: Path) -> None:
    """Raise ModelError unless ONNX Runtime reproduces torch above the threshold."""
    condition, noise = _example(artifact, 3)
    with torch.inference_mode():
        expected = artifact.model(condition, noise).numpy()
    found = OnnxEngine(file).run(condition.numpy(), noise.numpy())
    limit = max(artifact.calorimeter.cell_threshold, 1e-6)
    both = (expected > limit * (1 + TOLERANCE)) | (found > limit * (1 + TOLERANCE))
    difference = np.abs(found - expected)[both] / np.maximum(expected, limit)[both]
    if difference.size and difference.max() > TOLERANCE:
        raise ModelError(
            f"{artifact.path}: the ONNX graph differs from torch by {difference.max():.1e} "
            f"relative (allowed {TOLERANCE:.0e}); report it with your torch version"
        )
