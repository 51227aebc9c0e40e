"""The lateral profile: a core and a tail around the shower axis.

f(r) = p 2 r R_C^2 / (r^2 + R_C^2)^2 + (1 - p) 2 r R_T^2 / (r^2 + R_T^2)^2, r in Moliere radii;
R_C, R_T and p depend on the depth tau = t / <t> (hep-ex/0001020, appendix A.1 and
A.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.simulate.gflash.longitudinal import Shape
from caloforge.simulate.gflash.medium import Medium
from caloforge.simulate.gflash.tuning import Tuning

Floats = NDArray[np.float64]

CORE = {"z1": 0.0251, "z1_log": 0.00319, "z2": 0.1162, "z2_z": -0.000381}
"""R_C = z1 + z1_log ln E + (z2 + z2_z Z) tau, E in GeV."""

TAIL = {
    "k1": 0.659,
    "k1_z": -0.00309,
    "k2": 0.645,
    "k3": -2.59,
    "k4": 0.3585,
    "k4_log": 0.0412,
}
"""R_T = (k1 + k1_z Z) (exp(k3 (tau - k2)) + exp((k4 + k4_log ln E) (tau - k2)))."""

WEIGHT = {
    "p1": 2.632,
    "p1_z": -0.00094,
    "p2": 0.401,
    "p2_z": 0.00187,
    "p3": 1.313,
    "p3_log": -0.0686,
}
"""p = p1 exp(x - exp x), x = (p2 - tau) / p3."""

SAMPLED = {
    "core1": -0.0203,
    "core2": 0.0397,
    "tail1": -0.14,
    "tail2": -0.495,
    "weight1": 0.348,
    "weight2": -0.642,
}
"""R_C += core1 (1 - e/mip) + core2 / F_S exp(-tau), the same for R_T;
p += (1 - e/mip) (weight1 + weight2 / F_S exp(-(tau - 1)^2))."""

_LEAST = 1e-3


@dataclass(frozen=True)
class Rings:
    """Radii (mm) and the core's weight, shape (n, pieces)."""

    core: Floats
    tail: Floats
    weight: Floats


def relative_depth(t: Floats, shape: Shape) -> Floats:
    """tau of the depths ``t`` (n, pieces): <t> is the drawn T in the mean alpha's profile."""
    alpha, mean = shape.alpha, shape.mean_alpha
    scale = (alpha - 1) / alpha * mean / (mean - 1) / shape.t
    return np.asarray(np.maximum(t, 0.0) * scale[:, None])


def rings(tau: Floats, energy: Floats, path: Floats, media: list[Medium], tuning: Tuning) -> Rings:
    """Radii and weight at the depths ``tau`` (n, pieces) of showers of ``energy`` (MeV).

    ``media`` holds the medium of every piece.
    """
    z = np.array([medium.z for medium in media])
    moliere = np.array([medium.moliere for medium in media])
    cell = path[:, None] * np.array([medium.cell_x0 for medium in media])
    lost = 1.0 - np.array([medium.e_over_mip for medium in media])
    log_e = np.log(energy / 1e3)[:, None]
    c, k, w, s = CORE, TAIL, WEIGHT, SAMPLED
    young = np.exp(-tau)
    core = c["z1"] + c["z1_log"] * log_e + (c["z2"] + c["z2_z"] * z) * tau
    core = core + s["core1"] * lost + s["core2"] * cell * young
    below = tau - k["k2"]
    tail = np.exp(k["k3"] * below) + np.exp((k["k4"] + k["k4_log"] * log_e) * below)
    tail = (k["k1"] + k["k1_z"] * z) * tail + s["tail1"] * lost + s["tail2"] * cell * young
    x = (w["p2"] + w["p2_z"] * z - tau) / (w["p3"] + w["p3_log"] * log_e)
    weight = (w["p1"] + w["p1_z"] * z) * np.exp(x - np.exp(x))
    weight = weight + lost * (s["weight1"] + s["weight2"] * cell * np.exp(-((tau - 1) ** 2)))
    core = core * (tuning.core_radius + tuning.core_radius_log * (log_e - np.log(10.0)))
    return Rings(
        core=np.maximum(core, _LEAST) * moliere,
        tail=np.maximum(tail * tuning.tail_radius, _LEAST) * moliere,
        weight=np.clip(weight + tuning.core_weight, 0.0, 1.0),
    )
