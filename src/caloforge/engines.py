"""Which engine runs a model: torch on an artifact folder, ONNX Runtime or OpenVINO on an export."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError, ModelError
from caloforge.geometry import Calorimeter
from caloforge.runtime import CompactEngine, Engine, OnnxEngine, OpenVinoEngine, fastest
from caloforge.shipped import model_path
from caloforge.showers import file_digest

ENGINES = ("auto", "compact", "torch", "onnx", "openvino")

COMPACT = {"layered": CompactEngine}
"""Engines without torch that read a model folder as it is, by the kind of the model."""


EXPORTED: dict[str, type[OnnxEngine] | type[OpenVinoEngine]] = {
    "onnx": OnnxEngine,
    "openvino": OpenVinoEngine,
}
"""Engines of exported files."""


class TorchEngine:
    """Runs a model artifact with torch, in eval mode.

    Args:
        path: the artifact folder.
        device: ``cpu``, ``cuda``; the GPU when there is one and nothing is said.
        threads: CPU threads, of the whole process; torch's choice when 0.

    Raises:
        ModelError: see :func:`caloforge.artifact.load_artifact`.
    """

    name = "torch"

    def __init__(self, path: str | Path, device: str | None = None, threads: int = 0) -> None:
        import torch

        from caloforge.artifact import load_artifact

        if threads:
            torch.set_num_threads(threads)
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


def open_engine(
    model: str | Path, engine: str = "auto", *, batch_size: int = 128, threads: int = 0
) -> Engine:
    """The engine for a model: an artifact folder, or an exported file (.onnx, .xml).

    Args:
        model: folder or file.
        engine: ``auto`` takes the fastest for a file and, for a folder, compact where the model has
            such an engine, else torch; ``onnx`` and ``openvino`` on a folder export it to a
            temporary file first.
        batch_size: showers per call, by which ``auto`` chooses.
        threads: CPU threads; the engine's choice when 0.

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
        return _of_file(path, engine, batch_size, threads)
    kind = read_kind(path) if engine in ("auto", "compact") else None
    if kind in COMPACT:
        return COMPACT[kind](path, threads)
    if engine == "compact":
        raise ConfigError(f"--engine compact cannot run a '{kind}'; it runs {', '.join(COMPACT)}")
    if engine not in EXPORTED:
        return TorchEngine(path, threads=threads)
    exported = _exported(path, engine, threads)
    exported.inputs = {path.name: file_digest(path / "weights.safetensors")}
    return exported


def _exported(path: Path, engine: str, threads: int) -> OnnxEngine | OpenVinoEngine:
    """A model folder in the engine of an exported file; the exports compare it with torch."""
    from caloforge.export import export_onnx, export_openvino

    with tempfile.TemporaryDirectory() as folder:
        if engine == "openvino":
            return OpenVinoEngine(export_openvino(path, Path(folder) / "model.xml"), threads)
        return OnnxEngine(export_onnx(path, Path(folder) / "model.onnx"), threads)


def _of_file(path: Path, engine: str, batch_size: int, threads: int) -> Engine:
    if engine in ("torch", "compact"):
        raise ConfigError(
            f"--engine {engine} cannot run the exported file {path}; give the model folder"
        )
    if path.suffix == ".xml":
        if engine == "onnx":
            raise ConfigError(f"--engine onnx cannot run {path}, which is OpenVINO's")
        return OpenVinoEngine(path, threads)
    if engine == "auto":
        return fastest(path, batch_size, threads)
    return EXPORTED[engine](path, threads)


def read_kind(folder: Path) -> str | None:
    """The kind of the model in a folder, None where it does not say; needs no torch."""
    try:
        return str(json.loads((folder / "artifact.json").read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
