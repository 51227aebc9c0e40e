"""Geant4's Par04 example (11.4) in Python: what its macro commands and its inference code do.

After Par04InferenceSetup.cc, Par04OnnxInference.cc and Par04InferenceMessenger.cc: the same
vector, the same tensor, the same loops over the cells.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

MAX_ENERGY = 1_024_000.0
"""``fMaxEnergy`` (MeV)."""

MAX_ANGLE = 90.0
"""``fMaxAngle`` (degrees)."""

LENGTHS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}

KNOWN = {
    "/process/had/verbose",
    "/run/initialize",
    "/run/beamOn",
    "/gun/energy",
    "/gun/position",
    "/gun/direction",
    "/analysis/setFileName",
    "/param/ActivateModel",
    *(
        f"/Par04/detector/{name}"
        for name in ("setDetectorInnerRadius", "setDetectorLength", "setNbOfLayers", "setAbsorber")
    ),
    *(
        f"/Par04/{folder}/{name}"
        for folder in ("mesh", "inference")
        for name in (
            "setSizeOfRhoCells",
            "setSizeOfZCells",
            "setNbOfRhoCells",
            "setNbOfPhiCells",
            "setNbOfZCells",
        )
    ),
    *(
        f"/Par04/inference/{name}"
        for name in (
            "setSizeLatentVector",
            "setSizeConditionVector",
            "setModelPathName",
            "setModelType",
            "setProfileFlag",
            "setOptimizationFlag",
            "setCudaFlag",
            "setInferenceLibrary",
        )
    ),
}
"""Commands of the example and of Geant4 that a macro may use."""


class Par04Example:
    """The example after it has read a macro (in the folder of the macro)."""

    def __init__(self, macro: Path) -> None:
        self.said: dict[str, str] = {}
        self.models: list[str] = []
        for line in macro.read_text().splitlines():
            if line.startswith("#") or not line.strip():
                continue
            command, _, value = line.partition(" ")
            if command not in KNOWN:
                raise ValueError(f"command not found: {command}")
            if command == "/param/ActivateModel":
                self.models.append(value)
            elif command.endswith("setAbsorber"):
                self.said[f"{command} {value.split()[0]}"] = value
            else:
                self.said[command] = value
        self.number = [int(self.inference(f"setNbOf{axis}Cells")) for axis in ("Rho", "Phi", "Z")]
        self.d_rho, self.d_z = (self._length(f"setSizeOf{axis}Cells") for axis in ("Rho", "Z"))
        self.session: Any = None
        if self.inference("setInferenceLibrary") == "ONNX":
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            file = macro.parent / self.inference("setModelPathName")
            self.session = onnxruntime.InferenceSession(str(file), options)

    def inference(self, name: str) -> str:
        """What was said below /Par04/inference."""
        return self.said[f"/Par04/inference/{name}"]

    def _length(self, name: str) -> float:
        value, unit = self.inference(name).split()
        return float(value) * LENGTHS[unit]

    def vector(self, energy: float, theta: float, phi: float, noise: np.ndarray) -> bytes:
        """``genVector``, as bytes: MeV, rad; ``noise`` is what RandGauss gives."""
        if self.inference("setModelType") == "VAE":
            latent = int(self.inference("setSizeLatentVector"))
            size = int(self.inference("setSizeConditionVector"))
            values = [0.0] * (latent + size)
            values[:latent] = noise[:latent].tolist()
            values[latent] = energy / MAX_ENERGY
            values[latent + 1] = np.degrees(np.float32(theta)) / MAX_ANGLE
            values[latent + 2] = 0.0
            values[latent + 3] = 1.0
        else:
            values = [energy / 1000.0, phi, theta, 1.0, 0.0, 0.0, 0.0, 0.0]
        return struct.pack(f"<{len(values)}f", *values)

    def energies(self, energy: float, theta: float, phi: float, noise: np.ndarray) -> np.ndarray:
        """MeV per cell, as (rho, phi, z)."""
        vector = np.frombuffer(self.vector(energy, theta, phi, noise), "<f4")
        size = int(np.prod(self.number))
        name = self.session.get_inputs()[-1].name  # the loop over the inputs keeps the last
        outputs = [item.name for item in self.session.get_outputs()]
        made = self.session.run(outputs, {name: vector.reshape(1, len(vector))})[0]
        flat = np.frombuffer(np.ascontiguousarray(made).tobytes(), "<f4")
        scale = energy if self.inference("setModelType") == "VAE" else 1000.0
        return np.array([float(flat[k]) * scale for k in range(size)])

    def positions(self) -> np.ndarray:
        """Centres of the cells (mm) in the particle's frame, in the order of the energies."""
        n_rho, n_phi, n_z = self.number
        places = []
        for i in range(n_rho):
            for j in range(n_phi):
                angle = (j + 0.5) * 2 * np.pi / n_phi - np.pi
                rho = (i + 0.5) * self.d_rho
                for k in range(n_z):
                    z = (k + 0.5) * self.d_z
                    places.append((rho * np.cos(angle), rho * np.sin(angle), z))
        return np.array(places)
