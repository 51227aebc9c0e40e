"""Mean and spread of single cells."""

from __future__ import annotations

import numpy as np

from caloforge.validate.profiles import Sum

MIN_SHARE = 1e-4


def cell_errors(
    reference: Sum, generated: Sum, min_share: float = MIN_SHARE
) -> dict[str, float | int | None]:
    """How well the mean and the standard deviation of single cells agree.

    Over the cells that carry at least ``min_share`` of the reference's mean total energy:
    ``mean_rel_error`` = mean |generated / reference - 1| of the cell's mean energy, and
    ``sigma_rel_error`` the same of its standard deviation (cells with a reference sigma of 0 left
    out); ``n`` is the number of cells. No unit. Source: this project, after the average images of
    CaloGAN and 3DGAN.
    """
    chosen = reference.mean >= min_share * max(float(reference.mean.sum()), 1e-300)
    ref, gen = reference.mean[chosen], generated.mean[chosen]
    ref_sigma, gen_sigma = reference.sigma[chosen], generated.sigma[chosen]
    varying = ref_sigma > 1e-9 * np.maximum(ref, 1e-300)
    return {
        "mean_rel_error": float(np.abs(gen / ref - 1).mean()) if len(ref) else None,
        "sigma_rel_error": (
            float(np.abs(gen_sigma[varying] / ref_sigma[varying] - 1).mean())
            if varying.any()
            else None
        ),
        "n": int(np.count_nonzero(chosen)),
    }
