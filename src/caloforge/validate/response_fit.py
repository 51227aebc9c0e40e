"""Resolution and linearity curves fitted to the response per energy bin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from caloforge.observables import Floats
from caloforge.validate.pulls import pull

GEV = 1e3
RESOLUTION = ("stochastic", "constant", "noise")
LINE = ("intercept", "slope")


def resolution_curve(energy: Floats, stochastic: float, constant: float, noise: float) -> Floats:
    """sigma/E = a/sqrt(E) (+) c (+) b/E, added in quadrature; E in GeV, shape (n,)."""
    return _of_squares(energy, stochastic**2, constant**2, noise**2)


def _of_squares(energy: Floats, stochastic: float, constant: float, noise: float = 0.0) -> Floats:
    return np.asarray(np.sqrt(stochastic / energy + constant + noise / energy**2))


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
    curve: Callable[..., Floats],
    points: tuple[Floats, ...],
    start: Floats,
    low: float = -np.inf,
) -> tuple[Floats, Floats, dict[str, Any]] | None:
    """Least squares with ``curve_fit``, parameters from ``low`` on: values, errors, quality."""
    from scipy.optimize import curve_fit

    energy, value, error = points
    if len(np.unique(energy)) < len(start):
        return None
    tight = {"ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-12, "x_scale": "jac"}
    try:
        best, covariance = curve_fit(
            curve,
            *(energy, value),
            p0=start,
            sigma=error,
            absolute_sigma=True,
            bounds=(low, np.inf),
            method="trf",
            **tight,
        )
    except RuntimeError:  # not converged
        return None
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    if not np.all(np.isfinite(errors)):
        return None
    chi2 = float((((value - curve(energy, *best)) / error) ** 2).sum())
    ndf = len(energy) - len(start)
    quality = {
        "chi2": chi2,
        "ndf": ndf,
        "chi2_ndf": chi2 / ndf if ndf > 0 else None,
        "bins": len(energy),
    }
    return best, errors, quality


def _root(square: float, error: float) -> dict[str, float]:
    """A term from its fitted square."""
    value = float(np.sqrt(max(square, 0.0)))
    upward = float(np.sqrt(square + error)) - value
    return {
        "value": value,
        "error": error / (2 * value) if square > error else upward,
        "square": float(square),
        "square_error": float(error),
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
        each a ``value`` >= 0 and its ``error``; ``chi2``, ``ndf``, ``chi2_ndf`` (None for
        ndf = 0) and the number of ``bins``. The squares of the terms are fitted, bounded to 0 or
        more, since the curve is smooth in them; they are given as ``square`` and
        ``square_error``. The error of a term is square_error / (2 value); of one compatible with
        0 (square below its error) the upward one, sqrt(square + square_error) - value.
        None for fewer bins than parameters, or without convergence. A bin enters with its mean
        incident energy: in wide bins the response's own change with energy adds to sigma/E.
    """
    points = _points(rows, sample, "resolution")
    names = RESOLUTION if noise else RESOLUTION[:2]
    if len(points[0]) < len(names):
        return None
    energy, value, _ = points
    square = float(np.median(value**2 * energy))
    start = [square, 0.1 * float(value.min()) ** 2, 0.01 * square * float(energy.min())]
    fit = _fit(_of_squares, points, np.array(start[: len(names)]), low=0.0)
    if fit is None:
        return None
    terms = zip(names, fit[0], fit[1], strict=True)
    return {name: _root(float(best), float(error)) for name, best, error in terms} | fit[2]


def fit_linearity(rows: Sequence[Mapping[str, Any]], sample: str) -> dict[str, Any] | None:
    """Mean response against the energy: Etot/Einc = intercept + slope ln(E / 1 GeV).

    A linear calorimeter has slope 0; in a sampling calorimeter of finite depth the response falls
    slowly. Returns and None as :func:`fit_resolution`, with ``intercept`` (the response at 1 GeV)
    and ``slope``, no units.
    """
    points = _points(rows, sample, "mean")
    if len(points[0]) < len(LINE):
        return None
    fit = _fit(_line, points, np.array([float(points[1].mean()), 0.0]))
    if fit is None:
        return None
    terms = zip(LINE, fit[0], fit[1], strict=True)
    numbers = {name: {"value": float(v), "error": float(e)} for name, v, e in terms}
    return numbers | fit[2]


def response_fit(rows: Sequence[Mapping[str, Any]], *, noise: bool = False) -> dict[str, Any]:
    """Resolution and linearity of both samples, and how far they are apart.

    For ``resolution`` and ``linearity``: the fits of 'reference' and 'generated', and ``pulls``:
    per parameter (generated - reference) / sqrt(error_ref^2 + error_gen^2), for the terms of the
    resolution between their squares (``square``, ``square_error``); None where a fit is missing.
    The samples must be independent for that.
    """
    fits = {
        "resolution": [fit_resolution(rows, s, noise=noise) for s in ("reference", "generated")],
        "linearity": [fit_linearity(rows, s) for s in ("reference", "generated")],
    }
    names = {"resolution": RESOLUTION if noise else RESOLUTION[:2], "linearity": LINE}
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
    ref, gen = reference[name], generated[name]
    value, error = ("square", "square_error") if "square" in ref else ("value", "error")
    return pull(ref[value], gen[value], ref[error], gen[error])
