"""Sampling fluctuations and spots (hep-ex/0001020, appendix A.1 and A.2).

The deposit dE (GeV) of a step is drawn from a gamma distribution of mean dE and variance c^2 dE,
so that the sum fluctuates as sigma / E = c / sqrt(E). It is then laid down in equal spots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.simulate.gflash.longitudinal import Mixture, Shape

Floats = NDArray[np.float64]

HOMOGENEOUS_SPOTS = {
    "n1": 93.0,
    "n2": 0.876,
    "t1": 0.698,
    "t2": 0.00212,
    "a1": 0.639,
    "a2": 0.00334,
}
"""N = n1 ln(Z) E^n2, T_spot = T (t1 + t2 Z), alpha_spot = alpha (a1 + a2 Z)."""

SAMPLING_SPOTS = {
    "n1": 10.3,
    "n2": 0.959,
    "t1": 0.813,
    "t2": 0.0019,
    "a1": 0.844,
    "a2": 0.0026,
}
"""N = n1 / c E^n2, the rest as above."""


def fluctuated(deposit: Floats, variance: Floats, random: np.random.Generator) -> Floats:
    """Deposits (GeV) of the steps of one shower; ``variance`` is c^2 (GeV) of every step."""
    drawn = random.standard_gamma(deposit / np.where(variance > 0, variance, 1.0))
    return np.asarray(np.where(variance > 0, drawn * variance, deposit))


def spot_numbers(mixture: Mixture, energy: Floats, resolution: Floats) -> Floats:
    """Number of spots of every shower; ``resolution`` is its mean c, ``energy`` is in MeV."""
    gev = energy / 1e3
    whole, parts = HOMOGENEOUS_SPOTS, SAMPLING_SPOTS
    log_z = np.log(np.maximum(mixture.z, 2.0))
    homogeneous = whole["n1"] * log_z * gev ** whole["n2"]
    sampled = parts["n1"] / np.maximum(resolution, 1e-3) * gev ** parts["n2"]
    return np.asarray(np.where(mixture.sampled > 0.5, sampled, homogeneous))


def spot_shape(mixture: Mixture, shape: Shape) -> tuple[Floats, Floats]:
    """T and alpha of the spots' longitudinal profile."""
    use = mixture.sampled > 0.5
    mixed = {
        key: np.where(use, SAMPLING_SPOTS[key], HOMOGENEOUS_SPOTS[key])
        for key in ("t1", "t2", "a1", "a2")
    }
    t = np.maximum(shape.homogeneous_t * (mixed["t1"] + mixed["t2"] * mixture.z), 0.5)
    alpha = np.maximum(shape.homogeneous_alpha * (mixed["a1"] + mixed["a2"] * mixture.z), 1.1)
    return t, alpha
