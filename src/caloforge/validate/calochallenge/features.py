"""The CaloChallenge's high-level vector: what its classifier, FPD and KPD look at."""

from __future__ import annotations

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables import Floats, Observables, measuring_layers

OFFSET = 1e-8
"""Added to energies (MeV) before the logarithm."""


def calochallenge_features(table: Observables, calorimeter: Calorimeter) -> Floats:
    """The high-level vector in the official order; shape (n, features).

    log10 Einc; log10(E_layer + 1e-8); EC_eta / 100; EC_phi / 100; width_eta / 100; width_phi / 100;
    log10(Etot + 1e-8); sparsity; EC_r / 100; width_r / 100. Eta and phi (our x and y) in the layers
    that are cut in phi, the rest in every layer, layers in order. Energies in MeV, lengths in mm.
    30 features for data set 1 photons, 46 for pions, 362 for data sets 2 and 3.

    Source: CaloChallenge evaluation code.
    """
    alpha = measuring_layers(calorimeter, "x")
    parts = [
        np.log10(table.energy)[:, None],
        np.log10(table.layer_energy + OFFSET),
        *(
            getattr(table, key)[:, alpha] / 100
            for key in ("centre_x", "centre_y", "width_x", "width_y")
        ),
        np.log10(table.total + OFFSET)[:, None],
        table.sparsity,
        table.centre_r / 100,
        table.width_r / 100,
    ]
    return np.concatenate(parts, axis=1)
