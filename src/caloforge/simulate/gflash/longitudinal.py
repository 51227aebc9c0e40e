"""The longitudinal profile: a gamma distribution whose parameters fluctuate.

dE/dt = E f(t), f(t) = (beta t)^(alpha - 1) beta exp(-beta t) / Gamma(alpha), with t in radiation
lengths and its maximum at T = (alpha - 1) / beta; ln T and ln alpha are normally distributed and
correlated (hep-ex/0001020, appendix A.1: homogeneous media, A.2: sampling calorimeters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from caloforge.simulate.gflash.depth import Depth
from caloforge.simulate.gflash.tuning import Tuning

Floats = NDArray[np.float64]

HOMOGENEOUS = {
    "t1": -0.812,
    "a1": 0.81,
    "a2": 0.458,
    "a3": 2.26,
    "sigma_t1": -1.4,
    "sigma_t2": 1.26,
    "sigma_a1": -0.58,
    "sigma_a2": 0.86,
    "rho1": 0.705,
    "rho2": -0.023,
}
"""<ln T> = ln(ln y + t1), <ln alpha> = ln(a1 + (a2 + a3 / Z) ln y), y = E / E_c; the sigmas are
1 / (s1 + s2 ln y), their correlation rho1 + rho2 ln y."""

SAMPLING = {
    "t1": -0.55,
    "t2": -0.69,
    "a1": -0.476,
    "sigma_t1": -2.5,
    "sigma_t2": 1.25,
    "sigma_a1": -0.82,
    "sigma_a2": 0.79,
    "rho1": 0.784,
    "rho2": -0.023,
}
"""T += t1 / F_S + t2 (1 - e/mip), alpha += a1 / F_S, with wider fluctuations."""

_LARGEST_SIGMA = 0.5
_SMALLEST_T = 0.5
_SMALLEST_ALPHA = 1.1


@dataclass(frozen=True)
class Mixture:
    """What a shower meets on its way, weighted with the energy it leaves there; shape (n,)."""

    z: Floats
    log_y: Floats
    cell_x0: Floats
    """1 / F_S."""
    e_over_mip: Floats
    sampled: Floats
    """Share of the energy that is left in sampled media."""


@dataclass(frozen=True)
class Shape:
    """Parameters of n showers; ``mean_alpha`` is exp <ln alpha>."""

    t: Floats
    alpha: Floats
    mean_alpha: Floats
    homogeneous_t: Floats
    homogeneous_alpha: Floats


def row_sums(table: Floats) -> Floats:
    """Sum of every row, in an order that does not depend on the number of rows (BLAS's does)."""
    return np.asarray(np.ascontiguousarray(table).sum(axis=1))


def mixtures(depth: Depth, energy: Floats, path: Floats) -> Mixture:
    """The media on the way of showers of ``energy`` (MeV).

    A calorimeter of several sampling zones has no single F_S: the paper's parameters are taken for
    the mean of the zones, weighted with the mean homogeneous profile. An inclined shower meets
    units that are ``path`` = 1 / cos times as thick.
    """
    media = depth.media
    step_x0 = np.diff(depth.edge_x0)
    thickness = np.bincount(depth.step_medium, step_x0, minlength=len(media))
    plain = thickness / thickness.sum()
    z = np.array([medium.z for medium in media])
    log_ec = np.log([medium.critical_energy for medium in media])
    weights = np.broadcast_to(plain, (len(energy), len(media)))
    if len(media) > 1:
        log_y = np.log(energy) - plain @ log_ec
        t, alpha = _homogeneous_means(log_y, float(plain @ z))
        edges = depth.edge_x0 * path[:, None]
        deposits = np.diff(gammainc(alpha[:, None], ((alpha - 1) / t)[:, None] * edges), axis=1)
        own = depth.step_medium == np.arange(len(media))[:, None]
        weights = np.column_stack([row_sums(np.where(steps, deposits, 0.0)) for steps in own])
        weights = weights / row_sums(weights)[:, None]
    return Mixture(
        z=row_sums(weights * z),
        log_y=np.log(energy) - row_sums(weights * log_ec),
        cell_x0=path * row_sums(weights * [medium.cell_x0 for medium in media]),
        e_over_mip=row_sums(weights * [medium.e_over_mip for medium in media]),
        sampled=row_sums(weights * [float(medium.sampled) for medium in media]),
    )


def _homogeneous_means(log_y: Floats, z: Floats | float) -> tuple[Floats, Floats]:
    c = HOMOGENEOUS
    t = np.maximum(log_y + c["t1"], _SMALLEST_T)
    alpha = np.maximum(c["a1"] + (c["a2"] + c["a3"] / z) * log_y, _SMALLEST_ALPHA)
    return t, alpha


def _sigma(first: float, second: float, log_y: Floats) -> Floats:
    return np.minimum(1.0 / np.maximum(first + second * log_y, 1e-9), _LARGEST_SIGMA)


def _fluctuate(
    constants: dict[str, float], t: Floats, alpha: Floats, log_y: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    """T and alpha of every shower, with two standard normal numbers each."""
    sigma_t = _sigma(constants["sigma_t1"], constants["sigma_t2"], log_y)
    sigma_a = _sigma(constants["sigma_a1"], constants["sigma_a2"], log_y)
    rho = constants["rho1"] + constants["rho2"] * log_y
    common, opposite = np.sqrt((1 + rho) / 2), np.sqrt((1 - rho) / 2)
    up = common * normal[:, 0] + opposite * normal[:, 1]
    down = common * normal[:, 0] - opposite * normal[:, 1]
    return t * np.exp(sigma_t * up), np.maximum(alpha * np.exp(sigma_a * down), _SMALLEST_ALPHA)


def shapes(mixture: Mixture, energy: Floats, normal: Floats, tuning: Tuning) -> Shape:
    """Draw T and alpha; ``normal`` has shape (n, 2), ``energy`` is in MeV."""
    log_y = mixture.log_y
    t, alpha = _homogeneous_means(log_y, mixture.z)
    free_t, free_alpha = _fluctuate(HOMOGENEOUS, t, alpha, log_y, normal)
    s = SAMPLING
    log_e = np.log(energy / 1e4)
    t = t + s["t1"] * mixture.cell_x0 + s["t2"] * (1 - mixture.e_over_mip)
    t = np.maximum(t + tuning.maximum + tuning.maximum_log * log_e, _SMALLEST_T)
    form = tuning.shape + tuning.shape_log * log_e
    alpha = np.maximum((alpha + s["a1"] * mixture.cell_x0) * form, _SMALLEST_ALPHA)
    whole = _fluctuate(HOMOGENEOUS, t, alpha, log_y, normal)
    parts = _fluctuate(SAMPLING, t, alpha, log_y, normal)
    sampled = mixture.sampled > 0.5
    return Shape(
        t=np.where(sampled, parts[0], whole[0]),
        alpha=np.where(sampled, parts[1], whole[1]),
        mean_alpha=alpha,
        homogeneous_t=free_t,
        homogeneous_alpha=free_alpha,
    )


def step_fractions(edges: Floats, t: Floats, alpha: Floats) -> Floats:
    """Share of the profile inside every step; ``edges`` (n, steps + 1) from the shower's start."""
    beta = (alpha - 1) / t
    reached = gammainc(alpha[:, None], beta[:, None] * np.maximum(edges, 0.0))
    return np.asarray(np.maximum(np.diff(reached, axis=1), 0.0))  # rounding, where it is full


def backscattering(depth: Depth, tuning: Tuning) -> Floats:
    """Share of the energy of step j (row) that ends in step k (column), shape (steps, steps).

    The share ``tuning.backscatter`` flies an exponentially distributed depth back from the middle
    of its step; what passes the front face is lost.
    """
    edges = depth.edge_x0
    middle = (edges[1:] + edges[:-1]) / 2
    back = np.maximum(middle[:, None] - edges, 0.0)  # from the middle of j to the edge
    passed = np.exp(-back / tuning.backscatter_x0)
    share = np.eye(len(middle)) * (1.0 - tuning.backscatter)
    return np.asarray(share + tuning.backscatter * np.diff(passed, axis=1))


def scattered(fractions: Floats, shares: Floats) -> Floats:
    """The profile (n, steps) after backscattering; rows do not depend on their number."""
    result = np.zeros_like(fractions)
    for step, share in enumerate(shares):
        result += fractions[:, step, None] * share
    return result
