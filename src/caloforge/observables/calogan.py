"""The shower-shape features of CaloGAN, for any number of layers."""

from __future__ import annotations

from caloforge.observables.axes import Floats
from caloforge.observables.compute import observables
from caloforge.observables.table import Observables
from caloforge.showers import Showers


def calogan_features(sample: Showers | Observables) -> dict[str, Floats]:
    """CaloGAN's features by name, each of shape (n,): 5 L + 5 for L layers, so its 20 for three.

    Per layer i: ``energy_i`` (MeV), ``fraction_i`` = E_i / Etot, ``e_ratio_i`` = (top1 - top2) /
    (top1 + top2), ``lateral_width_i`` = sqrt(<x^2> - <x>^2) along x (mm), ``occupied_i`` = share
    of the layer's cells with energy (CaloGAN calls it sparsity; ``Observables.sparsity`` is the
    share without). Of the shower: ``total`` (MeV), ``depth`` = deepest layer with energy,
    ``lateral_depth`` l_d = sum(i E_i) (MeV), ``shower_depth`` s_d = l_d / Etot,
    ``shower_depth_width`` = sqrt(sum(i^2 E_i) / Etot - s_d^2).

    An empty shower or layer has 0 (0/0 is NaN or guarded by 1e-9 or 1e-7 in the published code).

    Source: M. Paganini, L. de Oliveira, B. Nachman, CaloGAN, Phys. Rev. D 97 (2018) 014021,
    shower shape variables. Its code has sum(i^2 E_i) in place of s_d among the 20.
    """
    table = sample if isinstance(sample, Observables) else observables(sample)
    by_layer = {
        "energy": table.layer_energy,
        "fraction": table.layer_share,
        "e_ratio": table.e_ratio,
        "lateral_width": table.width_x,
        "occupied": table.occupied,
    }
    features = {
        f"{name}_{layer}": values[:, layer]
        for name, values in by_layer.items()
        for layer in range(values.shape[1])
    }
    return features | {
        "total": table.total,
        "depth": table.depth_layer,
        "lateral_depth": table.lateral_depth,
        "shower_depth": table.shower_depth,
        "shower_depth_width": table.shower_depth_width,
    }
