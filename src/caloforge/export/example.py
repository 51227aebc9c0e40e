"""Particles and noise to try an exported model with."""

from __future__ import annotations

import numpy as np
import torch

from caloforge.models import ShowerModel
from caloforge.runtime.noise import shower_noise

LOWEST, HIGHEST = 1e4, 1e5
"""MeV."""


def example(model: ShowerModel, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Conditions (n, C) from 10 to 100 GeV at normal incidence, and noise (n, latent).

    The model's particles take turns.
    """
    condition = np.zeros((n, len(model.condition_columns)), dtype=np.float32)
    for column, name in enumerate(model.condition_columns):
        if name == "energy":
            condition[:, column] = np.linspace(LOWEST, HIGHEST, n)
        elif name == "theta":
            condition[:, column] = np.pi / 2
        elif name == "pdg":
            condition[:, column] = np.resize(model.particles or (11,), n)
    noise = shower_noise(0, 0, n, model.latent.size, model.latent.distribution)
    return torch.from_numpy(condition), torch.from_numpy(noise)
