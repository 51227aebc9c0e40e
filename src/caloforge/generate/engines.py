"""Which engine runs a model: torch on an artifact folder, ONNX Runtime on an export."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError, ModelError
from caloforge.geometry import Calorimeter
from caloforge.runtime import CompactEngine, Engine, OnnxEngine
from caloforge.shipped import model_path
from caloforge.showers import file_digest

ENGINES = ("auto", "compact", "torch", "onnx")

COMPACT = {"layered": CompactEngine}
"""Engines without torch that read a model folder as it is, by the kind of the model."""


class TorchEngine:
    """Runs a model artifact with torch, in eval mode.

    Args:
        path: the artifact folder.
        device: ``cpu``, ``cuda``; the GPU when there is one and nothing is said.

    Raises:
        ModelError: see :func:`caloforge.artifact.load_artifact`.
    """

    name = "torch"

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        import torch

        from caloforge.artifact import load_artifact

        artifact = load_artifact(path)
        self.path = artifact.path
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = artifact.model.to(self.device)
        self.calorimeter: Calorimeter = artifact.calorimeter
        self.description: dict[str, Any] = artifact.description
        self.inputs = {self.path.name: file_digest(self.path / "weights.safetensors")}

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, C) conditions and (B, latent) noise -> (B, n_cells) MeV."""
        import torch

        with torch.inference_mode():
            energy = self.model(
                torch.from_numpy(condition).to(self.device),
                torch.from_numpy(noise).to(self.device),
            )
        return np.asarray(energy.cpu().numpy(), dtype=np.float32)


def open_engine(model: str | Path, engine: str = "auto") -> Engine:
    """The engine for a model: an artifact folder, or an exported .onnx file.

    Args:
        model: folder or file.
        engine: ``auto`` takes onnx for a file and, for a folder, compact where the model has such
            an engine, else torch; ``onnx`` on a folder exports it to a temporary file first.

    Raises:
        ConfigError: no such engine, or it cannot run this kind of file.
        ModelError: the model cannot be read.
    """
    path = model_path(model)
    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine}: choose one of {', '.join(ENGINES)}")
    if not path.exists():
        raise ModelError(f"{path}: no such model; train one with 'caloforge train'")
    if path.is_file():
        if engine in ("torch", "compact"):
            raise ConfigError(
                f"--engine {engine} cannot run the exported file {path}; give the model folder"
            )
        return OnnxEngine(path)
    kind = read_kind(path) if engine in ("auto", "compact") else None
    if kind in COMPACT:
        return COMPACT[kind](path)
    if engine == "compact":
        raise ConfigError(f"--engine compact cannot run a '{kind}'; it runs {', '.join(COMPACT)}")
    if engine != "onnx":
        return TorchEngine(path)
    from caloforge.export import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        exported = OnnxEngine(export_onnx(path, Path(folder) / "model.onnx"))
    exported.inputs = {path.name: file_digest(path / "weights.safetensors")}
    return exported


def read_kind(folder: Path) -> str | None:
    """The kind of the model in a folder, None where it does not say; needs no torch."""
    try:
        return str(json.loads((folder / "artifact.json").read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
