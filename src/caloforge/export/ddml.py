"""For DDML (key4hep; before: DDFastShowerML), which replaces showers in DD4hep's ddsim.

Its model ``RegularGridGANModel`` with ONNX: a latent vector (1, 100, 1, 1, 1) of uniform numbers in
(-1, 1), drawn by Geant4; the energy (1, 1, 1, 1, 1) in GeV; the output is read as layer, x, y, and
cells above zero become hits of so many MeV. Normal incidence. (Read from the public sources of
DDML, include/DDML/RegularGridGANModel.h and src/RegularGridGANModel.cc.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import GeometryError, ModelError
from caloforge.export.example import HIGHEST, LOWEST
from caloforge.export.hosted import Hosted, Inputs, normal_of, write_hosted
from caloforge.geometry import Calorimeter, CartesianGrid
from caloforge.runtime.noise import uniform_noise

LATENT = 100
"""Numbers of noise; the shape is fixed in DDML's header."""

NAMES = ("latent", "energy")


class RegularGrid(Hosted):
    """What DDML tells -> (1, cells) MeV."""

    def forward(self, latent: torch.Tensor, energy: torch.Tensor) -> torch.Tensor:
        """Noise (1, 100, 1, 1, 1) in (-1, 1), energy (1, 1, 1, 1, 1) GeV."""
        even = latent.view(1, -1)[:, : self.model.latent.size]
        normal = self.model.latent.distribution == "normal"
        noise = normal_of(even) if normal else 0.5 + 0.5 * even
        return self.showers({"energy": 1000.0 * energy.view(1, 1)}, noise)


def export_ddml(
    model: str | Path | Artifact, output: str | Path, particle: int | None = None
) -> Path:
    """Write ``output`` (.onnx) and its metadata (.json), with DDML's properties in it.

    Raises:
        ConfigError: ``output`` has another ending.
        GeometryError: the model's layers are not all the same grid.
        ModelError: it wants more than 100 numbers of noise, or to know more than the energy, or
            the export disagrees with torch.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    network = artifact.model.eval().cpu()
    properties = _properties(artifact.calorimeter)
    if network.latent.size > LATENT:
        raise ModelError(
            f"{artifact.path}: needs {network.latent.size} numbers of noise, DDML gives {LATENT}; "
            "train with a smaller latent space, or export with --target onnx"
        )
    asked = RegularGrid(network, particle, ("energy",), "DDML")
    about = {
        "ddml": {"model": "RegularGridGANModel", "properties": properties},
        "inputs": {"latent": "(1, 100, 1, 1, 1), uniform in (-1, 1)", "energy": "GeV"},
        "output": "MeV per cell: layer, x, y",
    }
    write_hosted(artifact, asked, NAMES, [example(k) for k in range(3)], about, Path(output))
    return Path(output)


def example(seed: int) -> Inputs:
    """Inputs as DDML makes them."""
    energy = (LOWEST, (LOWEST + HIGHEST) / 2, HIGHEST)[seed % 3]
    latent = 2.0 * uniform_noise(seed, 0, 1, LATENT) - 1.0
    shape = (1, LATENT, 1, 1, 1)
    return (
        torch.tensor(latent, dtype=torch.float32).view(shape),
        torch.full((1, 1, 1, 1, 1), energy / 1000.0),
    )


def _properties(calorimeter: Calorimeter) -> dict[str, Any]:
    """Properties of DDML's plugin.

    It counts cell i from (i - n // 2 + 1/2) sizes: right for even n, half a cell aside for odd.
    """
    grid = calorimeter.layers[0].segmentation
    alike = all(layer.segmentation == grid for layer in calorimeter.layers)
    if not (alike and isinstance(grid, CartesianGrid)):
        raise GeometryError(
            f"'{calorimeter.name}': DDML's regular grid has the same square or rectangular cells "
            "in all layers; take a model of such a calorimeter"
        )
    return {
        "NCellsX": grid.nx,
        "NCellsY": grid.ny,
        "NCellsZ": calorimeter.n_layers,
        "CellSizeX": grid.dx,
        "CellSizeY": grid.dy,
        "LatentVectorSize": LATENT,
        "half_a_cell_aside": [bool(grid.nx % 2), bool(grid.ny % 2)],
    }
