"""The model artifact: a folder that describes itself.

artifact.json        schema, kind, task, config, what goes in and out, preprocessing, provenance
geometry.yaml        the calorimeter
weights.safetensors  the whole state, no pickle
training/            recipe, metrics.csv, tensorboard/, checkpoint (when it was trained)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from caloforge.atomic import atomic_file, check_folder, output_error
from caloforge.errors import ConfigError, ModelError, one_line
from caloforge.geometry import Calorimeter
from caloforge.models import Fittable, Model, Predictor, ShowerModel, build_any
from caloforge.shipped import model_path
from caloforge.showers import Provenance, file_digest

SCHEMA = 1
DESCRIPTION = "artifact.json"
GEOMETRY = "geometry.yaml"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Artifact:
    """A generator read back from its folder, in eval mode."""

    path: Path
    model: ShowerModel
    description: dict[str, Any]
    provenance: Provenance

    @property
    def calorimeter(self) -> Calorimeter:
        """The calorimeter that the model generates for."""
        return self.model.calorimeter


@dataclass(frozen=True)
class PredictorArtifact:
    """A predictor read back from its folder, in eval mode."""

    path: Path
    model: Predictor
    description: dict[str, Any]
    provenance: Provenance


def describe(model: Model, provenance: Provenance) -> dict[str, Any]:
    """The content of ``artifact.json``, also the metadata of an export."""
    return {
        "schema": SCHEMA,
        "kind": model.kind,
        "task": "generate" if isinstance(model, ShowerModel) else "predict",
        "config": model.config.model_dump(mode="json", exclude_none=True),
        "detector": model.calorimeter.name,
        "geometry_hash": model.calorimeter.hash,
        "cell_threshold_mev": model.calorimeter.cell_threshold,
        **_in_and_out(model),
        "preprocessing": model.preprocessing(),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "provenance": provenance.to_dict(),
    }


def _in_and_out(model: Model) -> dict[str, Any]:
    """What a generator takes, or what a predictor tells."""
    if isinstance(model, ShowerModel):
        latent = {"size": model.latent.size, "distribution": model.latent.distribution}
        particles = {"particles": list(model.particles)} if model.particles else {}
        return {"condition": list(model.condition_columns), **particles, "latent": latent}
    if isinstance(model, Predictor):
        return {"classes": list(model.classes), "targets": list(model.targets)}
    raise ModelError(f"'{model.kind}' neither generates nor predicts; no artifact can hold it")


def save_artifact(path: str | Path, model: Model, provenance: Provenance) -> Path:
    """Write (or complete) the folder ``path``; ``artifact.json`` comes last and makes it valid.

    Raises:
        OutputError: the parent folder is missing or the disk is full.
    """
    folder = Path(path)
    make_folder(folder)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_file(folder / WEIGHTS) as partial:
        save_tensors(state, partial)
    with atomic_file(folder / GEOMETRY) as partial:
        partial.write_text(model.calorimeter.to_yaml(), encoding="utf-8")
    with atomic_file(folder / DESCRIPTION) as partial:
        text = json.dumps(describe(model, provenance), indent=2)
        partial.write_text(text + "\n", encoding="utf-8")
    return folder


def save_tensors(
    tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file; its own error for a full disk becomes an OSError.

    Raises:
        OSError: the disk is full.
    """
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def make_folder(folder: Path) -> None:
    """Create ``folder`` if its parent is there.

    Raises:
        OutputError: the parent is missing, not writable, or ``folder`` is a file.
    """
    check_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def read_description(path: str | Path) -> dict[str, Any]:
    """The content of ``artifact.json``.

    Raises:
        ModelError: not an artifact folder, unfinished, or of an unknown schema.
    """
    folder = model_path(path)
    file = folder / DESCRIPTION
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder; train one with 'caloforge train'")
    if not file.exists():
        unfinished = (folder / "training").is_dir()
        hint = (
            "training did not finish; continue with 'caloforge train ... --resume'"
            if unfinished
            else "not a model artifact; give the folder that 'caloforge train -o' wrote"
        )
        raise ModelError(f"{folder}: no {DESCRIPTION}: {hint}")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        schema = description["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: unreadable ({error}); copy or train the model again") from error
    if schema != SCHEMA:
        raise ModelError(f"{file}: schema {schema}, this version reads {SCHEMA}; update caloforge")
    return dict(description)


def load_artifact(path: str | Path) -> Artifact:
    """Read a generator back.

    Raises:
        ModelError: not an artifact, unfinished, its weights do not fit, or it is a predictor.
        GeometryError: its geometry file is damaged.
    """
    folder, model, description, provenance = _load(path)
    if not isinstance(model, ShowerModel):
        raise ModelError(
            f"{folder}: '{model.kind}' predicts what made a shower and generates none; "
            "use it with 'caloforge predict'"
        )
    return Artifact(folder, model, description, provenance)


def load_predictor_artifact(path: str | Path) -> PredictorArtifact:
    """Read a predictor back.

    Raises:
        ModelError: not an artifact, unfinished, its weights do not fit, or it is a generator.
        GeometryError: its geometry file is damaged.
    """
    folder, model, description, provenance = _load(path)
    if not isinstance(model, Predictor):
        raise ModelError(
            f"{folder}: '{model.kind}' generates showers and predicts nothing; "
            "use it with 'caloforge generate'"
        )
    return PredictorArtifact(folder, model, description, provenance)


def _load(path: str | Path) -> tuple[Path, Model, dict[str, Any], Provenance]:
    folder = model_path(path)
    description = read_description(folder)
    calorimeter = Calorimeter.from_file(folder / GEOMETRY)
    if calorimeter.hash != description.get("geometry_hash"):
        raise ModelError(
            f"{folder / GEOMETRY}: hash {calorimeter.hash} is not the one the model was trained "
            f"for ({description.get('geometry_hash')}); restore the original geometry file"
        )
    try:
        model = build_any(description["kind"], calorimeter, description["config"])
        provenance = Provenance.from_json(json.dumps(description["provenance"]), str(folder))
    except (ConfigError, KeyError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: {error}; copy or train it again") from error
    load_weights(model, folder / WEIGHTS)
    return folder, model.eval(), description, provenance


def warm_start(model: Model, path: str | Path) -> str:
    """Begin with the weights of a trained model; return their digest.

    Raises:
        ModelError: the trained model is of another kind or shape.
        GeometryError: it is for another calorimeter.
    """
    folder, trained, _, _ = _load(path)
    if trained.kind != model.kind:
        raise ModelError(
            f"start_from: {path} is a '{trained.kind}', the recipe trains a '{model.kind}'; "
            "start from a model of the same kind"
        )
    model.calorimeter.require_same(trained.calorimeter, f"start_from: {path}")
    load_weights(model, folder / WEIGHTS)
    return file_digest(folder / WEIGHTS)


def load_weights(model: Model, file: Path) -> None:
    """Set the state of ``model`` from a safetensors file.

    Raises:
        ModelError: the file is missing, damaged, or for another model.
    """
    try:
        state: dict[str, torch.Tensor] = load_file(file)
        if isinstance(model, Fittable):
            model.expect_state(state)
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        text = one_line(error)[:200]
        raise ModelError(f"{file}: weights cannot be used ({text}); copy or train again") from error
