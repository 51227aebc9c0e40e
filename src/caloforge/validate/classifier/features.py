"""High-level inputs of the classifiers: the shower shapes of the CaloChallenge."""

from __future__ import annotations

import numpy as np

from caloforge.observables import Floats, Observables, measuring_layers
from caloforge.validate.calochallenge.data_sets import calochallenge_data_set
from caloforge.validate.calochallenge.features import calochallenge_features
from caloforge.validate.summary import Summary


def high_level_features(sample: Summary) -> Floats:
    """The CaloChallenge high-level vector, for any calorimeter; shape (n, features).

    log10 Einc, log10(E_layer + 1e-8), centres / 100 and widths / 100 (x, y, r in the layers that
    measure them), log10(Etot + 1e-8), sparsity per layer. Energies in MeV, lengths in mm. In the
    geometries of the CaloChallenge the columns have the official order, see
    :func:`~caloforge.validate.calochallenge.features.calochallenge_features`.
    """
    table: Observables = sample.observables
    if calochallenge_data_set(sample.calorimeter) is not None:
        return calochallenge_features(table, sample.calorimeter)
    parts = [np.log10(table.energy)[:, None], np.log10(table.layer_energy + 1e-8)]
    for axis in ("x", "y", "r"):
        usable = measuring_layers(sample.calorimeter, axis)
        for name in ("centre", "width"):
            parts.append(getattr(table, f"{name}_{axis}")[:, usable] / 100)
    parts += [np.log10(table.total + 1e-8)[:, None], table.sparsity]
    return np.concatenate(parts, axis=1)
