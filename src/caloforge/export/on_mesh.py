"""A model's showers on the mesh of Par04, and the two ways in which the example asks for them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from caloforge.errors import ModelError
from caloforge.export.mesh import mesh_of
from caloforge.geometry import Calorimeter, CylindricalGrid
from caloforge.models import ShowerModel
from caloforge.transform.shares import cell_shares

ENERGY_UNIT = 1_024_000.0
"""MeV that Par04 sends as 1 in its VAE mode."""

ANGLE_UNIT = math.pi / 2
"""rad that it sends as 1."""

VAE_CONDITIONS = 4
"""Energy, theta, and the geometry as (0, 1)."""

CALODIT_INPUTS = 8
"""Energy (GeV), phi, theta (rad), and one of five geometries."""

NEAR = 2.0**-24
"""Uniform numbers keep as far from 0 and 1."""

Known = dict[str, torch.Tensor]
"""What the example tells of the particle, (1, 1) each: energy in MeV, angles in rad."""


class OnMesh(nn.Module):
    """Showers of ``model`` in the cells of a mesh, ordered as (rho, phi, z).

    Args:
        model: the generator.
        rebin: the mesh among whose cells the showers are shared, by overlapping volume; the
            model's own calorimeter when None.
        particle: PDG code for a model that wants one; its only one when None.
        told: what the example tells: some of energy, theta, phi.

    Raises:
        GeometryError: the cells are no mesh.
        ModelError: the model needs to know more than it is told.
    """

    def __init__(
        self,
        model: ShowerModel,
        rebin: Calorimeter | None,
        particle: int | None,
        told: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.model = model
        mesh = rebin or model.calorimeter
        self.mesh = mesh_of(mesh)
        turned = not isinstance(model.calorimeter.layers[0].segmentation, CylindricalGrid)
        self.constants = constants_of(model, particle, told, turned=turned)
        numbers = np.arange(mesh.n_cells).reshape(self.mesh.n_z, self.mesh.n_rho, self.mesh.n_phi)
        order = numbers.transpose(1, 2, 0).ravel()
        source, share = _sources(model.calorimeter, rebin, order)
        self.source: torch.Tensor = nn.Buffer(torch.from_numpy(source))
        self.share: torch.Tensor = nn.Buffer(torch.from_numpy(share))

    def forward(self, known: Known, noise: torch.Tensor) -> torch.Tensor:
        """``known`` and noise (1, latent) -> (1, cells) MeV."""
        columns = []
        for name in self.model.condition_columns:
            constant = self.constants.get(name)
            energy = known["energy"]
            columns.append(known[name] if constant is None else torch.full_like(energy, constant))
        shower = self.model(torch.cat(columns, dim=-1), noise)
        on_mesh: torch.Tensor = (shower[:, self.source] * self.share).sum(-1)
        return on_mesh


def constants_of(
    model: ShowerModel,
    particle: int | None,
    told: tuple[str, ...],
    *,
    turned: bool,
    host: str = "Par04",
) -> dict[str, float]:
    """Condition columns that are the same for every particle.

    The mesh lies around the particle's line, so the impact point is its origin. ``turned``: the
    cells were made for normal incidence, and turn with the particle. ``host``: what asks the model.

    Raises:
        ModelError: see :class:`OnMesh`.
    """
    constants = dict.fromkeys("xyz", 0.0)
    if turned:
        constants |= {"theta": math.pi / 2, "phi": 0.0}
    if "pdg" in model.condition_columns:
        constants["pdg"] = float(_particle(model, particle, host))
    missing = [c for c in model.condition_columns if c not in constants and c not in told]
    if missing:
        raise ModelError(
            f"the model needs the particle's {missing[0]}, {host} tells only {', '.join(told)}; "
            "export with --target par04-calodit, which tells energy, theta and phi, or train "
            "without it"
        )
    return constants


def _particle(model: ShowerModel, particle: int | None, host: str) -> int:
    known = model.particles
    if particle is None and len(known) == 1:
        return known[0]
    if particle is None or (known and particle not in known):
        raise ModelError(
            f"{host} does not tell the particle, and the model wants it; say for which it is with "
            f"--particle, one of {', '.join(map(str, known)) or 'its PDG codes'}"
        )
    return particle


def _sources(
    calorimeter: Calorimeter, rebin: Calorimeter | None, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of every cell of the mesh, in its order: the model's cells that go into it, and their shares.

    Both (cells, K), filled up with shares of zero.
    """
    if rebin is None:
        return order[:, None].astype(np.int64), np.ones((len(order), 1), dtype=np.float32)
    shares = cell_shares(calorimeter, rebin, "depth").matrix.tocsc()[:, order]
    counts = np.diff(shares.indptr)
    place = np.arange(counts.max()) < counts[:, None]
    source = np.zeros(place.shape, dtype=np.int64)
    share = np.zeros(place.shape, dtype=np.float32)
    source[place], share[place] = shares.indices, shares.data
    return source, share


class VaeMode(nn.Module):
    """``setModelType VAE``: (1, L + 4) -> (1, cells) shares of the incident energy.

    L standard normal numbers, drawn and seeded by Geant4; the energy in :data:`ENERGY_UNIT`; theta
    in :data:`ANGLE_UNIT`; the geometry, which is not looked at.
    """

    told = ("energy", "theta")
    inputs = "vector"

    def __init__(self, on_mesh: OnMesh) -> None:
        super().__init__()
        self.on_mesh = on_mesh
        self.latent = on_mesh.model.latent

    @property
    def length(self) -> int:
        """Of the vector."""
        return self.latent.size + VAE_CONDITIONS

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """The vector that Par04 makes -> the numbers that it multiplies with the energy."""
        size = self.latent.size
        energy = vector[:, size : size + 1] * ENERGY_UNIT
        known = {"energy": energy, "theta": vector[:, size + 1 : size + 2] * ANGLE_UNIT}
        noise = vector[:, :size]
        if self.latent.distribution == "uniform":
            noise = uniform_of(noise)
        shares: torch.Tensor = self.on_mesh(known, noise) / energy
        return shares


class CaloDiTMode(nn.Module):
    """``setModelType CaloDiT-2``: (1, 8) -> (1, cells) GeV, with noise drawn in the graph."""

    told = ("energy", "theta", "phi")
    inputs = "vector"
    length = CALODIT_INPUTS

    def __init__(self, on_mesh: OnMesh) -> None:
        super().__init__()
        self.on_mesh = on_mesh
        self.latent = on_mesh.model.latent

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """The vector that Par04 makes -> GeV per cell."""
        draw = torch.randn if self.latent.distribution == "normal" else torch.rand
        noise: torch.Tensor = draw(1, self.latent.size)
        return self.at(vector, noise)

    def at(self, vector: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The same at the given noise."""
        vector = vector.view(1, -1)  # TorchScript gets one axis
        known = {"energy": vector[:, :1] * 1e3, "phi": vector[:, 1:2], "theta": vector[:, 2:3]}
        shower: torch.Tensor = self.on_mesh(known, noise) / 1e3
        return shower


def uniform_of(normal: torch.Tensor) -> torch.Tensor:
    """Standard normal numbers -> uniform ones, as many standard deviations from the middle."""
    # No engine has the error function in float64.
    uniform: torch.Tensor = 0.5 + 0.5 * torch.special.erf(normal * math.sqrt(0.5))
    return uniform.clamp(NEAR, 1.0 - NEAR)
