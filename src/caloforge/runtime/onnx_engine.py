"""Run an exported model with ONNX Runtime; everything it needs is inside the .onnx file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ModelError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import file_digest

METADATA = "caloforge"
"""Key of the JSON metadata inside the ONNX file."""


class OnnxEngine:
    """A model exported with ``caloforge export``.

    Args:
        path: the .onnx file.
        threads: CPU threads; ONNX Runtime's choice when 0.
        provider: ``CPU``, ``CUDA``, or ``best``: all that are there, the fastest first.

    Raises:
        ModelError: missing, damaged, or not exported by Caloforge.
    """

    name = "onnx"

    def __init__(self, path: str | Path, threads: int = 0, provider: str = "best") -> None:
        import onnxruntime

        self.path = Path(path)
        if not self.path.is_file():
            raise ModelError(f"{self.path}: no such file; make it with 'caloforge export'")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), options, providers=_providers(provider)
            )
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.description: dict[str, Any] = json.loads(metadata[METADATA])
            geometry = self.description["geometry"]
        except KeyError as error:
            raise ModelError(
                f"{self.path}: no Caloforge metadata; export the model with 'caloforge export'"
            ) from error
        except Exception as error:  # onnxruntime raises its own untyped exceptions
            text = one_line(error)[:160]
            raise ModelError(f"{self.path}: not a usable ONNX model ({text})") from error
        self.inputs = {self.path.name: file_digest(self.path)}
        self.calorimeter = Calorimeter.from_yaml(geometry, f"{self.path}: geometry")

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, C) conditions and (B, latent) noise -> (B, n_cells) MeV."""
        try:
            (energy,) = self._session.run(None, {"condition": condition, "noise": noise})
        except Exception as error:  # onnxruntime raises its own untyped exceptions
            text = one_line(error)[:160]
            raise ModelError(f"{self.path}: ONNX Runtime cannot run it ({text})") from error
        return np.asarray(energy, dtype=np.float32)


def _providers(provider: str) -> list[str]:
    import onnxruntime

    there: list[str] = onnxruntime.get_available_providers()
    return there if provider == "best" else [f"{provider}ExecutionProvider"]
