"""Electrons in lcd-ecal: response, resolution, shower maximum, containment."""

from __future__ import annotations

import numpy as np

from caloforge.showers import Showers
from caloforge.transform import central_window, window_calorimeter
from caloforge.validate import etot_over_einc
from simulated.estimators import (
    Fit,
    Floats,
    Value,
    fit,
    linear_sum,
    mean,
    plain_resolution,
    quadrature,
    robust_resolution,
    root,
    straight,
)
from simulated.shapes import layer_depths, mean_depth, shower_maximum, weighted_energy
from simulated.tables import Samples, Table, gev

ENERGIES = (10, 20, 50, 100, 200, 500)
CRITICAL_ENERGY_W = 7.97
"""MeV, PDG."""
PUBLISHED = np.array([0.0018, -0.023, 0.11, -0.28, 2.21])
"""Sampling fraction (%) of the LCD calorimeter, a polynomial in E / 100 GeV (3DGAN)."""


def published(energy: Floats | float) -> Floats:
    """Published sampling fraction, %; energy in GeV."""
    return np.polyval(PUBLISHED, np.asarray(energy) / 100)


def samples(folder: Samples) -> list[Showers]:
    """The electrons that are there, by energy."""
    names = folder.present(f"lcd-{energy}" for energy in ENERGIES)
    return [folder.read(name) for name in names]


def electrons(folder: Samples) -> list[Table]:
    """All tables of this section."""
    found = samples(folder)
    return [_response(found), *_resolution(found), *_maximum(found), _containment(found)]


def window(showers: Showers, cells: int = 25) -> Showers:
    """The hits in the central cells: what the published samples hold."""
    return central_window(showers, window_calorimeter(showers.calorimeter, cells, cells))


def fraction(showers: Showers) -> Value:
    """Sampling fraction, %."""
    return mean(etot_over_einc(showers)) * 100


def _response(found: list[Showers]) -> Table:
    columns = (
        "E, GeV",
        "showers",
        "25x25 cells: visible / incident, %",
        "published, %",
        "difference, %",
        "51x51 cells: visible / incident, %",
    )
    table = Table("Sampling fraction of electrons in lcd-ecal", columns)
    for showers in found:
        value, expected = fraction(window(showers)), float(published(gev(showers)))
        difference = (value - Value(expected, 0.0)) * (100 / expected)
        whole = fraction(showers)
        table.add(gev(showers), len(showers), value, round(expected, 3), difference, whole)
    table.note = (
        "Published: 3DGAN's polynomial for the LCD calorimeter (2.18 / 2.02 / 1.81 % at 10 / 100 / "
        "500 GeV), of samples that hold 25x25 cells."
    )
    return table


def tungsten_weighted(showers: Showers) -> Floats:
    """Visible over incident energy, the layers behind more tungsten counted for more."""
    depths = layer_depths(showers.calorimeter)
    return np.asarray(weighted_energy(showers, depths) / showers.incident.energy)


def resolutions(found: list[Showers], robust: bool = True) -> list[Value]:
    """sigma / E of every sample, %."""
    estimate = robust_resolution if robust else plain_resolution
    return [estimate(etot_over_einc(showers)) * 100 for showers in found]


def fit_resolution(found: list[Showers], points: list[Value], linear: bool = True) -> Fit:
    """a (%, with E in GeV) and c (%); in quadrature c^2."""
    energy = np.array([gev(showers) for showers in found])
    return fit(linear_sum if linear else quadrature, energy, points, (15.0, 1.0))


def resolution_tables(
    title: str, found: list[Showers], kinds: dict[str, list[Value]]
) -> list[Table]:
    """Resolution per energy and its fits, for several ways to measure it."""
    table = Table(title, ("E, GeV", *(f"{kind}, %" for kind in kinds)))
    for number, showers in enumerate(found):
        table.add(gev(showers), *(points[number] for points in kinds.values()))
    columns = ("resolution", "form", "a, % sqrt(GeV)", "c, %", "chi2 / ndf")
    fits = Table(f"{title}: fits", columns)
    if len(found) > 2:
        for kind, points in kinds.items():
            for linear, form in ((True, "a / sqrt(E) + c"), (False, "quadrature")):
                one = fit_resolution(found, points, linear)
                constant = one.second if linear else root(one.second)
                fits.add(kind, form, one.first, constant, f"{one.chi2:.1f} / {one.ndf}")
    fits.note = "a / sqrt(E) + c is the linear sum; quadrature is sqrt(a^2 / E + c^2). E in GeV."
    return [table, fits]


def _resolution(found: list[Showers]) -> list[Table]:
    kinds = {
        "3-sigma truncated": resolutions(found),
        "plain rms": resolutions(found, robust=False),
        "layers weighted by tungsten": [
            robust_resolution(tungsten_weighted(showers)) * 100 for showers in found
        ],
    }
    tables = resolution_tables("Resolution of electrons in lcd-ecal", found, kinds)
    tables[0].note = (
        "Truncated: showers within three rms of the mean, repeated, corrected to the sigma of a "
        "Gaussian. Weighted: the eight layers behind 4.8 mm of tungsten count twice."
    )
    return tables


def maxima(found: list[Showers]) -> list[Value]:
    """Depth of the shower maximum of every sample, X0."""
    depths = layer_depths(found[0].calorimeter)
    return [shower_maximum(depths.middle, showers.layer_energy) for showers in found]


def _maximum(found: list[Showers]) -> list[Table]:
    columns = ("E, GeV", "maximum, X0", "ln(E / Ec) - 0.5", "mean depth, X0")
    table = Table("Longitudinal shape of electrons in lcd-ecal", columns)
    depths, points = layer_depths(found[0].calorimeter), maxima(found)
    centres = [mean(mean_depth(showers, depths)) for showers in found]
    for showers, point, centre in zip(found, points, centres, strict=True):
        expected = np.log(gev(showers) * 1e3 / CRITICAL_ENERGY_W) - 0.5
        table.add(gev(showers), point, round(float(expected), 2), centre)
    table.note = (
        "Depth in tungsten and silicon (X0 = 3.504 and 93.7 mm). Maximum of the mean profile: a "
        "fit of t^(a-1) exp(-b t) to the layers above half of the highest; errors by bootstrap."
    )
    slopes = Table("Slope per unit of ln E", ("of", "slope, X0", "expected, X0", "chi2 / ndf"))
    if len(found) > 2:
        x = np.log([gev(showers) for showers in found])
        for name, values in (("maximum", points), ("mean depth", centres)):
            line = fit(straight, x, values)
            slopes.add(name, line.first, 1.0, f"{line.chi2:.1f} / {line.ndf}")
    return [table, slopes]


def _containment(found: list[Showers]) -> Table:
    columns = ("E, GeV", "in 25x25 of 51x51 cells, %", "in the last layer, %", "outermost cells, %")
    table = Table("Containment of electrons in lcd-ecal", columns)
    for showers in found:
        total, layers = showers.total_energy, showers.layer_energy
        inside, most = (window(showers, cells).total_energy / total for cells in (25, 49))
        last = layers[:, -1] / total
        table.add(gev(showers), mean(inside) * 100, mean(last) * 100, mean(1 - most) * 100)
    table.note = "Of the visible energy; the last column is the outermost ring of cells."
    return table
