"""Low-level inputs by the CaloChallenge's written definition: every cell of the calorimeter.

The matrices are scipy's CSR with float64 values: 10,000 showers of 15,625 cells with 760 hits each
are 90 MB instead of the 1.25 GB of a dense array. ``.toarray()`` gives the dense array; the
networks unpack one batch at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caloforge.observables import TINY, Floats
from caloforge.showers import Showers

ENERGY_TINY = 1e-8
"""Added to a layer's energy (MeV) under the logarithm."""


def _with_columns(showers: Showers, before: Floats, values: Floats, after: Floats) -> Any:
    from scipy.sparse import csr_matrix, hstack

    shape = (len(showers), showers.calorimeter.n_cells)
    cells = csr_matrix(
        (values, showers.cell.astype(np.int64), showers.offset.astype(np.int64)), shape
    )
    parts = [csr_matrix(before), cells] + ([csr_matrix(after)] if after.size else [])
    return hstack(parts, format="csr")


def calochallenge_low(showers: Showers) -> Any:
    """[log10 Einc, voxel / Einc], energies in MeV: CSR of shape (n, 1 + n_cells), float64.

    The input 'low' of the CaloChallenge's classifier. Cells in the order of the calorimeter, which
    for rings is (layer, r, alpha); the CaloChallenge's is (layer, alpha, r), the same to a network
    of fully connected layers. Hits below the threshold must have been removed before, in both
    samples. Some later versions of the public evaluation code feed 100 times voxel / Einc.

    Source: CaloChallenge, classifier test (arXiv:2410.21611).
    """
    energy = showers.incident.energy
    values = showers.energy.astype(np.float64) / energy[showers.hit_shower]
    return _with_columns(showers, np.log10(energy)[:, None], values, np.empty((len(showers), 0)))


def calochallenge_low_normed(showers: Showers) -> Any:
    """[log10 Einc, voxel / E_layer, log10(E_layer + 1e-8)]: CSR (n, 1 + n_cells + n_layers).

    The input 'low-normed' of the CaloChallenge's classifier, float64, energies in MeV. The
    division is by E_layer + 1e-16, so that the cells of an empty layer are 0; its logarithm is -8.

    Source: CaloChallenge, classifier test (arXiv:2410.21611).
    """
    layer_energy = showers.layer_energy
    layer = showers.calorimeter.cell_layer[showers.cell]
    values = showers.energy.astype(np.float64) / (layer_energy[showers.hit_shower, layer] + TINY)
    incident = np.log10(showers.incident.energy)[:, None]
    return _with_columns(showers, incident, values, np.log10(layer_energy + ENERGY_TINY))
