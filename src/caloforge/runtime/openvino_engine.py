"""Run an exported model with OpenVINO, Intel's engine for CPUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import ConfigError, ModelError, one_line
from caloforge.geometry import Calorimeter
from caloforge.showers import file_digest

METADATA = "caloforge"
"""Key of the JSON metadata inside the file."""


class OpenVinoEngine:
    """A model exported with ``caloforge export``: OpenVINO's .xml (and .bin), or an .onnx file.

    It computes in float32, also where the graph asks for float64.

    Args:
        path: the file.
        threads: CPU threads; OpenVINO's choice when 0.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: missing, damaged, or not exported by Caloforge.
    """

    name = "openvino"

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        try:
            import openvino
        except ImportError as error:
            raise ConfigError(
                "OpenVINO is not installed; pip install 'caloforge[openvino]', or use another "
                "--engine"
            ) from error
        self.path = Path(path)
        if not self.path.is_file():
            raise ModelError(f"{self.path}: no such file; make it with 'caloforge export'")
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            core = openvino.Core()
            model = core.read_model(str(self.path))
            self._compiled = core.compile_model(model, "CPU", settings)
            text = self._metadata(model)
            self.description: dict[str, Any] = json.loads(text)
            geometry = self.description["geometry"]
        except KeyError as error:
            raise ModelError(
                f"{self.path}: no Caloforge metadata; export the model with 'caloforge export'"
            ) from error
        except Exception as error:  # OpenVINO raises its own untyped exceptions
            text = one_line(error)[:160]
            raise ModelError(f"{self.path}: not a usable OpenVINO model ({text})") from error
        self.inputs = self._digests()
        self.calorimeter = Calorimeter.from_yaml(geometry, f"{self.path}: geometry")

    def _metadata(self, model: Any) -> str:
        if self.path.suffix == ".onnx":  # OpenVINO does not read what is said there
            import onnx

            proto = onnx.load(str(self.path), load_external_data=False)
            said: dict[str, str] = {entry.key: entry.value for entry in proto.metadata_props}
            return said[METADATA]
        if not model.has_rt_info([METADATA]):
            raise KeyError(METADATA)
        return str(model.get_rt_info([METADATA]).astype(str))

    def _digests(self) -> dict[str, str]:
        files = [self.path]
        if self.path.suffix == ".xml":
            files.append(self.path.with_suffix(".bin"))
        return {file.name: file_digest(file) for file in files}

    def run(
        self, condition: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, C) conditions and (B, latent) noise -> (B, n_cells) MeV."""
        try:
            energy = self._compiled({"condition": condition, "noise": noise})["energy"]
        except Exception as error:  # OpenVINO raises its own untyped exceptions
            text = one_line(error)[:160]
            raise ModelError(f"{self.path}: OpenVINO cannot run it ({text})") from error
        return np.array(energy, dtype=np.float32)
