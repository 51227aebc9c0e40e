"""Resolution and linearity curves fitted to the response per energy bin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from caloforge.validate.observables import Floats
from caloforge.validate.pulls import pull

GEV = 1e3
LINE = ("intercept", "slope")


def resolution_curve(energy: Floats, stochastic: float, constant: float, noise: float) -> Floats:
    """sigma/E = a/sqrt(E) (+) c (+) b/E, added in quadrature; E in GeV, shape (n,)."""
    return np.asarray(
        np.sqrt(stochastic**2 / energy + constant**2 + (noise / energy) ** 2), dtype=np.float64
    )


def _two_terms(energy: Floats, stochastic: float, constant: float) -> Floats:
    return resolution_curve(energy, stochastic, constant, 0.0)


def _line(energy: Floats, intercept: float, slope: float) -> Floats:
    return np.asarray(intercept + slope * np.log(energy))


def _points(rows: Sequence[Mapping[str, Any]], sample: str, key: str) -> tuple[Floats, ...]:
    """E (GeV), value and error of the bins that have all three."""
    points = []
    for row in rows:
        entry = row[sample]
        value, error, energy = entry[key], entry[f"{key}_error"], entry["mean_energy"]
        if None not in (value, error, energy) and error > 0 and value > 0:
            points.append((energy / GEV, value, error))
    table = np.array(points, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _fit(
    curve: Callable[..., Floats], names: Sequence[str], points: tuple[Floats, ...], start: Floats
) -> dict[str, Any] | None:
    """Least squares with ``curve_fit``; errors from the covariance, None where it has none."""
    import warnings

    from scipy.optimize import OptimizeWarning, curve_fit

    energy, value, error = points
    if len(np.unique(energy)) < len(names):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            best, covariance = curve_fit(
                curve, energy, value, p0=start, sigma=error, absolute_sigma=True, maxfev=20_000
            )
        except RuntimeError:
            return None
    chi2 = float((((value - curve(energy, *best)) / error) ** 2).sum())
    ndf = len(energy) - len(names)
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    result: dict[str, Any] = {}
    for name, number, sigma in zip(names, best, errors, strict=True):
        usable = bool(np.isfinite(sigma)) and sigma > 0
        result[name] = {"value": float(number), "error": float(sigma) if usable else None}
    return result | {
        "chi2": chi2,
        "ndf": ndf,
        "chi2_ndf": chi2 / ndf if ndf > 0 else None,
        "bins": len(energy),
    }


def fit_resolution(
    rows: Sequence[Mapping[str, Any]], sample: str, *, noise: bool = False
) -> dict[str, Any] | None:
    """sigma/E = a/sqrt(E) (+) c fitted to the resolutions of :func:`response`.

    Args:
        rows: the result of :func:`caloforge.validate.response`.
        sample: 'reference' or 'generated'.
        noise: with a third term b/E.

    Returns:
        ``stochastic`` (a, sqrt(GeV)), ``constant`` (c), with ``noise`` also ``noise`` (b, GeV):
        each a ``value`` >= 0 and its ``error`` (None where the fit does not fix the term: it is
        compatible with 0 and the curve is flat in it); ``chi2``, ``ndf``, ``chi2_ndf`` (None for
        ndf = 0) and the number of ``bins``. None for fewer bins than parameters. Only what a bin's
        mean incident energy says enters: wide bins add the response's own change to sigma/E.
    """
    points = _points(rows, sample, "resolution")
    names = ("stochastic", "constant", "noise") if noise else ("stochastic", "constant")
    if len(points[0]) < len(names):
        return None
    energy, value, _ = points
    start = [float(np.median(value * np.sqrt(energy))), 0.5 * float(value.min()), 0.0]
    start[2] = 0.1 * start[0] * float(np.sqrt(energy.min()))
    curve = resolution_curve if noise else _two_terms
    result = _fit(curve, names, points, np.array(start[: len(names)]))
    for name in names if result else ():
        assert result is not None
        result[name]["value"] = abs(result[name]["value"])  # the curve knows only its square
    return result


def fit_linearity(rows: Sequence[Mapping[str, Any]], sample: str) -> dict[str, Any] | None:
    """Mean response against the energy: Etot/Einc = intercept + slope ln(E / 1 GeV).

    A linear calorimeter has slope 0; in a sampling calorimeter of finite depth the response falls
    slowly. Returns and None as :func:`fit_resolution`, with ``intercept`` (the response at 1 GeV)
    and ``slope``, no units.
    """
    points = _points(rows, sample, "mean")
    if len(points[0]) < len(LINE):
        return None
    return _fit(_line, LINE, points, np.array([float(points[1].mean()), 0.0]))


def response_fit(rows: Sequence[Mapping[str, Any]], *, noise: bool = False) -> dict[str, Any]:
    """Resolution and linearity of both samples, and how far they are apart.

    For ``resolution`` and ``linearity``: the fits of 'reference' and 'generated', and ``pulls``:
    per parameter (generated - reference) / sqrt(error_ref^2 + error_gen^2), None where a fit or
    an error is missing. The samples must be independent for that.
    """
    fits = {
        "resolution": [fit_resolution(rows, s, noise=noise) for s in ("reference", "generated")],
        "linearity": [fit_linearity(rows, s) for s in ("reference", "generated")],
    }
    names = {
        "resolution": ("stochastic", "constant", "noise") if noise else ("stochastic", "constant"),
        "linearity": LINE,
    }
    return {
        key: {
            "reference": ref,
            "generated": gen,
            "pulls": {name: _pull(ref, gen, name) for name in names[key]},
        }
        for key, (ref, gen) in fits.items()
    }


def _pull(
    reference: dict[str, Any] | None, generated: dict[str, Any] | None, name: str
) -> float | None:
    if reference is None or generated is None:
        return None
    errors = (reference[name]["error"], generated[name]["error"])
    if None in errors:
        return None
    return pull(reference[name]["value"], generated[name]["value"], *errors)
