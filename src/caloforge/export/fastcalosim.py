"""With the inputs of ATLAS' FastCaloSim, for experiments with other voxels in its framework.

``TFCSMLCalorimeterSimulator`` sends ``inn_eta_in`` = 10 |eta|, ``inn_einc_in`` (MeV), and standard
normal numbers: ``cfm_z_shape``, one for every voxel, and ``inn_z_energy``, one for every layer. It
reads the energies of the voxels (MeV). (Read from the public sources of FastCaloSim.)
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from caloforge.artifact import Artifact, load_artifact
from caloforge.errors import ModelError
from caloforge.export.example import HIGHEST, LOWEST
from caloforge.export.hosted import Hosted, Inputs, write_hosted
from caloforge.export.on_mesh import uniform_of
from caloforge.models import ShowerModel
from caloforge.runtime.noise import normal_noise

NAMES = ("inn_eta_in", "inn_einc_in", "cfm_z_shape", "inn_z_energy")

ETA_UNIT = 10.0


class FastCaloSim(Hosted):
    """What FastCaloSim tells -> (1, voxels) MeV; voxels are the model's cells."""

    def forward(
        self,
        inn_eta_in: torch.Tensor,
        inn_einc_in: torch.Tensor,
        cfm_z_shape: torch.Tensor,
        inn_z_energy: torch.Tensor,
    ) -> torch.Tensor:
        """10 |eta| and MeV, (1, 1) each; noise (1, voxels) and (1, layers)."""
        noise = torch.cat([cfm_z_shape, inn_z_energy], dim=-1)[:, : self.model.latent.size]
        if self.model.latent.distribution == "uniform":
            noise = uniform_of(noise)
        theta = 2.0 * torch.atan(torch.exp(-inn_eta_in / ETA_UNIT))
        return self.showers({"energy": inn_einc_in, "theta": theta}, noise)


def export_fastcalosim(
    model: str | Path | Artifact, output: str | Path, particle: int | None = None
) -> Path:
    """Write ``output`` (.onnx) and its metadata (.json).

    The angle to the beam becomes theta of a model that wants it: the x axis is the beam's.

    Raises:
        ConfigError: ``output`` has another ending.
        ModelError: the model wants more noise than there are voxels and layers, or to know more
            than energy and eta, or the export disagrees with torch.
        OutputError: the folder is missing or the disk is full.
    """
    artifact = model if isinstance(model, Artifact) else load_artifact(model)
    network = artifact.model.eval().cpu()
    cells, layers = network.calorimeter.n_cells, network.calorimeter.n_layers
    if network.latent.size > cells + layers:
        raise ModelError(
            f"{artifact.path}: needs {network.latent.size} numbers of noise, FastCaloSim gives "
            f"{cells + layers} for so many voxels and layers; train with a smaller latent space"
        )
    asked = FastCaloSim(network, particle, ("energy", "theta"), "FastCaloSim")
    about = {
        "fastcalosim": {"voxels": cells, "layers": layers},
        "inputs": {
            "inn_eta_in": "10 |eta|",
            "inn_einc_in": "MeV",
            "cfm_z_shape": f"{cells} standard normal numbers",
            "inn_z_energy": f"{layers} standard normal numbers",
        },
        "output": "MeV per voxel, layer by layer",
    }
    examples = [example(network, k) for k in range(3)]
    write_hosted(artifact, asked, NAMES, examples, about, Path(output))
    return Path(output)


def example(model: ShowerModel, seed: int) -> Inputs:
    """Inputs as FastCaloSim makes them, from eta 0 to 0.4."""
    cells, layers = model.calorimeter.n_cells, model.calorimeter.n_layers
    energy = (LOWEST, math.sqrt(LOWEST * HIGHEST), HIGHEST)[seed % 3]
    noise = torch.tensor(normal_noise(seed, 0, 1, cells + layers), dtype=torch.float32)
    eta = torch.full((1, 1), ETA_UNIT * 0.2 * (seed % 3))
    return eta, torch.full((1, 1), energy), noise[:, :cells], noise[:, cells:]
