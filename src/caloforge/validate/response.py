"""Response and resolution against the incident energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.observables import Floats, Observables
from caloforge.validate.pulls import width_error

BINS = 10
MAX_DISCRETE = 20


def energy_edges(energy: Floats, bins: int = BINS) -> Floats:
    """Edges (MeV) of incident-energy bins, from the reference sample.

    At most 20 different energies: one bin for each. Otherwise ``bins`` bins with equal numbers of
    reference showers. The edges lie within the reference's range, which they cover.
    """
    distinct = np.unique(energy)
    if len(distinct) <= MAX_DISCRETE:
        middle = 0.5 * (distinct[1:] + distinct[:-1])
        return np.concatenate([[distinct[0] * 0.999], middle, [distinct[-1] * 1.001]])
    return np.unique(np.quantile(energy, np.linspace(0, 1, bins + 1)))


def energy_bin(energy: Floats, edges: Floats) -> NDArray[np.int64]:
    """Bin of every energy, -1 outside the edges (the last edge belongs to the last bin)."""
    index = np.searchsorted(edges, energy, side="right") - 1
    index = np.where(energy == edges[-1], len(edges) - 2, index)
    return np.where((index >= 0) & (index < len(edges) - 1), index, -1)


def _one(table: Observables) -> dict[str, Any]:
    n = len(table)
    result: dict[str, Any] = dict.fromkeys(
        ("mean_energy", "mean", "mean_error", "resolution", "resolution_error")
    )
    result["n"] = n
    if n:
        result["mean_energy"] = float(table.energy.mean())
        result["mean"] = float(table.response.mean())
    if n > 1:
        sigma = float(table.response.std(ddof=1))
        result["mean_error"] = sigma / np.sqrt(n)
        if result["mean"] > 0:
            result["resolution"] = sigma / result["mean"]
            result["resolution_error"] = width_error(table.response) / result["mean"]
    return result


def _relative(
    ref: dict[str, Any], gen: dict[str, Any], key: str
) -> tuple[float | None, float | None]:
    """generated / reference - 1 of one quantity, and its statistical error."""
    r, g = ref[key], gen[key]
    if r is None or g is None or r <= 0:
        return None, None
    errors = (ref[f"{key}_error"], gen[f"{key}_error"])
    if None in errors:
        return g / r - 1, None
    return g / r - 1, float(np.hypot(errors[1] / r, g * errors[0] / r**2))


def response(
    reference: Observables, generated: Observables, edges: Floats | None = None
) -> list[dict[str, Any]]:
    """Response and resolution of two samples, per bin of incident energy.

    For each bin: ``low``, ``high`` (MeV); for 'reference' and 'generated' the number ``n``, the
    mean incident energy (MeV), the response ``mean`` = mean(Etot / Einc), the ``resolution`` =
    sigma / mean of Etot / Einc, both with statistical errors (sigma / sqrt(n), and that of sigma
    from the fourth moment over the mean: leakage gives tails, where a Gaussian's resolution /
    sqrt(2 (n - 1)) is too small); then the relative errors generated / reference - 1 of both,
    with their statistical errors. None where a bin holds too few showers.

    Source: 3DGAN (sampling fraction against energy), the usual calorimeter resolution.
    """
    edges = energy_edges(reference.energy) if edges is None else edges
    rows, columns = energy_bin(reference.energy, edges), energy_bin(generated.energy, edges)
    result = []
    for k in range(len(edges) - 1):
        ref, gen = _one(reference[rows == k]), _one(generated[columns == k])
        mean, mean_error = _relative(ref, gen, "mean")
        width, width_error = _relative(ref, gen, "resolution")
        result.append(
            {
                "low": float(edges[k]),
                "high": float(edges[k + 1]),
                "reference": ref,
                "generated": gen,
                "mean_rel_error": mean,
                "mean_rel_error_stat": mean_error,
                "resolution_rel_error": width,
                "resolution_rel_error_stat": width_error,
            }
        )
    return result


def response_error(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Mean |relative error| of the ``mean`` and of the ``resolution`` over the energy bins.

    No unit; 0 for equal samples. None when no bin has one.
    """
    result: dict[str, float | None] = {}
    for key in ("mean", "resolution"):
        known = [abs(r[f"{key}_rel_error"]) for r in rows if r[f"{key}_rel_error"] is not None]
        result[key] = sum(known) / len(known) if known else None
    return result
