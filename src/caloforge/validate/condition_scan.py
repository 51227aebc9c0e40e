"""Inter- and extrapolation: the main observables against the incident energy or angle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from caloforge.observables import Floats, Observables
from caloforge.validate.correlation import varies_in_theta
from caloforge.validate.pulls import pull, spread
from caloforge.validate.response import MAX_DISCRETE, energy_bin, energy_edges
from caloforge.validate.separation import separation_power

SCANNED: Mapping[str, Callable[[Observables], Floats]] = {
    "etot_over_einc": lambda table: table.response,
    "hits": lambda table: table.hits,
    "depth": lambda table: table.moments[:, 2],
    "depth_width": lambda table: table.moments[:, 5],
    "width_x": lambda table: table.moments[:, 3],
    "width_y": lambda table: table.moments[:, 4],
    "radius_90": lambda table: table.radius_90,
    "depth_90": lambda table: table.depth_90,
    "peak_share": lambda table: table.peak_share,
    "measured_theta": lambda table: table.measured_theta,
}
"""The observables of a scan; the first two over all showers, the others over those with hits."""
OF_ALL = ("etot_over_einc", "hits")
HISTOGRAM = 20


def scan_edges(values: Floats, training_range: tuple[float, float] | None) -> Floats:
    """Edges of the condition's bins: :func:`energy_edges` of the reference, cut at the range.

    Where the values are continuous (more than 20), the ends of ``training_range`` become edges,
    so that a bin lies inside or outside.
    """
    edges = energy_edges(values)
    if training_range is None or len(np.unique(values)) <= MAX_DISCRETE:
        return edges
    inner = [end for end in training_range if edges[0] < end < edges[-1]]
    return np.unique(np.concatenate([edges, inner]))


def histogram_separation(reference: Floats, generated: Floats) -> float | None:
    """Separation power over 20 bins that hold equal numbers of reference entries.

    Entries outside the reference's range count in the outer bins, so none is lost. None where the
    reference has fewer than two different values or a sample has no entry.
    """
    if not len(reference) or not len(generated):
        return None
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, HISTOGRAM + 1)))
    if len(edges) < 2:
        return None
    inner = edges[1:-1]
    counts = [
        np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
        for values in (reference, generated)
    ]
    return separation_power(*counts)


def _observable(reference: Floats, generated: Floats) -> dict[str, float | None]:
    ref, gen = spread(reference), spread(generated)
    result: dict[str, float | None] = {
        "mean_pull": None,
        "width_pull": None,
        "mean_rel_error": None,
        "separation": histogram_separation(reference, generated),
    }
    if ref is None or gen is None:
        return result
    result["mean_pull"] = pull(ref.mean, gen.mean, ref.mean_error, gen.mean_error)
    result["width_pull"] = pull(ref.width, gen.width, ref.width_error, gen.width_error)
    if abs(ref.mean) > 0:
        result["mean_rel_error"] = gen.mean / ref.mean - 1.0
    return result


def condition_scan(
    reference: Observables,
    generated: Observables,
    *,
    by: Literal["energy", "theta"] = "energy",
    training_range: tuple[float, float] | None = None,
) -> list[dict[str, Any]] | None:
    """How the main observables agree, bin by bin of a condition.

    Bins as in :func:`response`: one per value of the reference where it has at most 20, else ten
    with equal numbers of reference showers, cut at the ends of ``training_range``. The same
    conditions must have been given to both samples: within a bin their spectra enter.

    Args:
        reference: the reference sample.
        generated: the sample to judge.
        by: 'energy' (MeV) or 'theta' (rad), incident.
        training_range: the condition's range that the model was trained on.

    Returns:
        Per bin ``low``, ``high``, ``n_reference``, ``n_generated``, ``extrapolated`` (the
        reference's median lies outside the training range; None without one) and
        ``observables``: for each of :data:`SCANNED` the ``mean_pull`` and ``width_pull``,
        (generated - reference) in standard
        errors of the difference (Gaussian, width 1, for equal and independent samples; narrower
        where they share their incident energies), ``mean_rel_error`` = generated / reference - 1
        of the means, and the ``separation`` power
        (:func:`histogram_separation`; equal samples of n and m showers: about 19 (1/n + 1/m) / 4).
        A figure is None for fewer than 4 showers or constant values. The whole is None where the
        angle does not vary in the reference, or is unknown in the generated sample.

    Source: CaloGAN (interpolation and extrapolation in energy, position).
    """
    if by == "theta" and not (varies_in_theta(reference) and generated.has_theta):
        return None
    edges = scan_edges(getattr(reference, by), training_range)
    where = [energy_bin(getattr(sample, by), edges) for sample in (reference, generated)]
    rows = []
    for k in range(len(edges) - 1):
        low, high = float(edges[k]), float(edges[k + 1])
        ref, gen = reference[where[0] == k], generated[where[1] == k]
        outside = None
        if training_range is not None and len(ref):
            middle = float(np.median(getattr(ref, by)))
            outside = not (training_range[0] <= middle <= training_range[1])
        values = {}
        for name, value in SCANNED.items():
            pair = [value(s if name in OF_ALL else s[s.filled]) for s in (ref, gen)]
            values[name] = _observable(*pair)
        rows.append(
            {
                "low": low,
                "high": high,
                "n_reference": len(ref),
                "n_generated": len(gen),
                "extrapolated": outside,
                "observables": values,
            }
        )
    return rows


def scan_pull(rows: Sequence[Mapping[str, Any]] | None) -> dict[str, float | None]:
    """Root mean square of the pulls of a :func:`condition_scan`: of the ``mean`` and the ``width``.

    Over all bins and observables, correlated as they are. About 1 for equal samples (less where
    they share their incident energies); None without pulls.
    """
    result: dict[str, float | None] = {}
    for key in ("mean", "width"):
        pulls = [
            entry[f"{key}_pull"]
            for row in rows or ()
            for entry in row["observables"].values()
            if entry[f"{key}_pull"] is not None
        ]
        result[key] = float(np.sqrt(np.mean(np.square(pulls)))) if pulls else None
    return result
