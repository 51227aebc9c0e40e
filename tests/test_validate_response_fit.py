"""Fitted resolution and linearity, pulls, and scans over the conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, CartesianGrid, Layer
from caloforge.observables import Observables
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    condition_scan,
    fit_linearity,
    fit_resolution,
    observables,
    response,
    response_fit,
)
from caloforge.validate.condition_scan import histogram_separation, scan_edges
from caloforge.validate.pulls import spread

Floats = NDArray[np.float64]


def bins(
    energy: Floats, resolution: Floats, mean: Floats | None = None, relative: float = 0.02
) -> list[dict[str, Any]]:
    """Rows as :func:`response` gives them, E in GeV."""
    mean = np.full(len(energy), 0.02) if mean is None else mean
    return [
        {
            sample: {
                "n": 100,
                "mean_energy": 1e3 * e,
                "mean": m,
                "mean_error": relative * m,
                "resolution": r,
                "resolution_error": relative * r,
            }
            for sample in ("reference", "generated")
        }
        for e, r, m in zip(energy, resolution, mean, strict=True)
    ]


ENERGY = np.array([5.0, 10.0, 20.0, 40.0, 80.0, 160.0])


def test_the_fit_finds_the_curve_it_was_made_from() -> None:
    rows = bins(ENERGY, np.sqrt(0.15**2 / ENERGY + 0.01**2))
    fit = fit_resolution(rows, "reference")
    assert fit is not None
    assert fit["stochastic"]["value"] == pytest.approx(0.15, rel=1e-4)
    assert fit["constant"]["value"] == pytest.approx(0.01, rel=1e-3)
    assert fit["chi2"] == pytest.approx(0.0, abs=1e-6)
    assert fit["ndf"] == 4
    rows = bins(ENERGY, np.sqrt(0.15**2 / ENERGY + 0.01**2 + 0.3**2 / ENERGY**2))
    fit = fit_resolution(rows, "generated", noise=True)
    assert fit is not None
    assert fit["noise"]["value"] == pytest.approx(0.3, rel=1e-3)
    assert fit["stochastic"]["value"] == pytest.approx(0.15, rel=1e-3)


def test_errors_are_those_of_linear_least_squares() -> None:
    """Linearity is linear in its parameters: weighted normal equations give value and error."""
    rng = np.random.default_rng(0)
    mean = 0.022 - 0.0004 * np.log(ENERGY) + rng.normal(0, 1e-4, 6)
    rows = bins(ENERGY, np.full(6, 0.1), mean, relative=0.005)
    fit = fit_linearity(rows, "reference")
    assert fit is not None
    design = np.column_stack([np.ones(6), np.log(ENERGY)]) / (0.005 * mean)[:, None]
    covariance = np.linalg.inv(design.T @ design)
    best = covariance @ design.T @ (mean / (0.005 * mean))
    chi2 = float(((mean / (0.005 * mean) - design @ best) ** 2).sum())
    for k, name in enumerate(("intercept", "slope")):
        assert fit[name]["value"] == pytest.approx(best[k], rel=1e-4)
        assert fit[name]["error"] == pytest.approx(covariance[k, k] ** 0.5, rel=1e-3)
    assert fit["chi2_ndf"] == pytest.approx(chi2 / 4, rel=1e-3)


def test_fitted_parameters_scatter_by_their_errors() -> None:
    rng = np.random.default_rng(1)
    truth = np.sqrt(0.15**2 / ENERGY + 0.02**2)
    pulls = []
    for _ in range(100):
        fit = fit_resolution(bins(ENERGY, truth * (1 + 0.02 * rng.standard_normal(6))), "reference")
        assert fit is not None
        pulls.append((fit["stochastic"]["value"] - 0.15) / fit["stochastic"]["error"])
    assert abs(np.mean(pulls)) < 0.4
    assert 0.75 < np.std(pulls) < 1.25


def test_too_few_bins_give_no_fit() -> None:
    two = bins(ENERGY[:2], np.array([0.1, 0.08]))
    assert fit_resolution(two[:1], "reference") is None
    assert fit_linearity(two[:1], "reference") is None
    assert fit_resolution(two, "reference", noise=True) is None
    exact = fit_resolution(two, "reference")
    assert exact is not None
    assert exact["ndf"] == 0
    assert exact["chi2_ndf"] is None
    none = [{"reference": dict.fromkeys(two[0]["reference"])} for _ in range(5)]
    assert fit_resolution(none, "reference") is None
    assert fit_linearity(two[:1] * 3, "reference") is None  # three times the same energy


def test_a_term_that_vanishes_never_gives_nan() -> None:
    fit = fit_resolution(bins(ENERGY, 0.15 / np.sqrt(ENERGY)), "reference", noise=True)
    assert fit is not None
    assert fit["stochastic"]["value"] == pytest.approx(0.15, rel=1e-3)
    for name in ("constant", "noise"):
        assert fit[name]["value"] < 0.02
        assert 0.0 < fit[name]["error"] < 0.2
        square = fit[name]["square"]
        upward = np.sqrt(square + fit[name]["square_error"]) - np.sqrt(square)
        assert fit[name]["error"] == pytest.approx(upward)


def small() -> Calorimeter:
    grid = CartesianGrid(nx=5, ny=5, dx=10.0, dy=10.0)
    layers = tuple(Layer(z=10.0 * k, thickness=10.0, segmentation=grid) for k in range(4))
    return Calorimeter(name="small", layers=layers)


def showers(
    n: int, seed: int, *, stochastic: float = 0.15, shift: float = 0.0, theta: bool = False
) -> Observables:
    """Etot = 2 % of E with resolution a/sqrt(E), in random shares of random cells."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1e4, 1e5, n)
    total = 0.02 * energy * (1 + stochastic / np.sqrt(energy / 1e3) * rng.standard_normal(n))
    total *= 1 + shift * (energy > 8e4)
    shares = rng.dirichlet(np.full(100, 0.5), n) + 1e-9
    columns = {"energy": energy} | ({"theta": rng.uniform(1, 2, n)} if theta else {})
    return observables(Showers.from_dense(small(), Incident(columns), shares * total[:, None]))


def test_pulls_between_two_samples() -> None:
    reference = showers(6000, 0)
    same = response_fit(response(reference, showers(6000, 1)))
    assert set(same) == {"resolution", "linearity"}
    for key in same:
        for value in same[key]["pulls"].values():
            assert abs(value) < 4.5
    assert same["resolution"]["reference"]["stochastic"]["value"] == pytest.approx(0.15, rel=0.1)
    wide = response_fit(response(reference, showers(6000, 2, stochastic=0.3)))["resolution"]
    ref, gen = (wide[name]["stochastic"] for name in ("reference", "generated"))
    errors = np.hypot(ref["square_error"], gen["square_error"])
    expected = (gen["square"] - ref["square"]) / errors
    assert wide["pulls"]["stochastic"] == pytest.approx(expected)
    assert expected > 5


def test_mean_and_width_have_the_right_errors() -> None:
    """The error of the width covers its scatter, also for a skewed distribution."""
    rng = np.random.default_rng(0)
    many = [spread(rng.exponential(1.0, 400)) for _ in range(400)]
    found = [one for one in many if one is not None]
    assert np.std([one.mean for one in found]) == pytest.approx(0.05, rel=0.1)
    assert np.mean([one.mean_error for one in found]) == pytest.approx(0.05, rel=0.05)
    scatter = np.std([one.width for one in found])
    assert np.mean([one.width_error for one in found]) == pytest.approx(scatter, rel=0.15)
    assert spread(np.ones(10)) is None
    assert spread(np.array([1.0, 2.0, 3.0])) is None


def test_a_scan_of_equal_samples_stays_within_its_errors() -> None:
    rows = condition_scan(showers(4000, 0), showers(4000, 1))
    assert rows is not None
    assert len(rows) == 10
    assert sum(row["n_reference"] for row in rows) == 4000
    pulls = [
        row["observables"][name][key]
        for row in rows
        for name in ("etot_over_einc", "depth", "radius_90")
        for key in ("mean_pull", "width_pull")
    ]
    assert 0.6 < np.std(pulls) < 1.4
    powers = [row["observables"]["depth"]["separation"] for row in rows]
    assert np.mean(powers) == pytest.approx(19 / 4 * (1 / 400 + 1 / 400), rel=0.35)
    assert all(row["extrapolated"] is None for row in rows)


def test_a_scan_finds_where_the_model_fails() -> None:
    reference, generated = showers(4000, 0), showers(4000, 1, shift=0.1)
    rows = condition_scan(reference, generated, training_range=(2e4, 8e4))
    assert rows is not None
    edges = [row["low"] for row in rows] + [rows[-1]["high"]]
    assert 2e4 in edges
    assert 8e4 in edges
    for row in rows:
        assert row["extrapolated"] == (row["low"] >= 8e4 or row["high"] <= 2e4)
        figures = row["observables"]["etot_over_einc"]
        assert (figures["mean_pull"] > 10) == (row["low"] >= 8e4)
        rows_in = (reference.energy >= row["low"]) & (reference.energy < row["high"])
        gen_in = (generated.energy >= row["low"]) & (generated.energy < row["high"])
        if row is not rows[-1]:
            ref, gen = reference.response[rows_in], generated.response[gen_in]
            errors = np.hypot(ref.std(ddof=1) / len(ref) ** 0.5, gen.std(ddof=1) / len(gen) ** 0.5)
            assert figures["mean_pull"] == pytest.approx((gen.mean() - ref.mean()) / errors)


def test_a_scan_over_the_angle_needs_angles() -> None:
    tilted = showers(300, 0, theta=True)
    rows = condition_scan(
        tilted, showers(300, 1, theta=True), by="theta", training_range=(1.5, 3.0)
    )
    assert rows is not None
    assert [row["extrapolated"] for row in rows].count(True) == 5
    assert condition_scan(tilted, showers(300, 1), by="theta") is None
    assert condition_scan(showers(300, 1), tilted, by="theta") is None


def test_discrete_energies_keep_their_bins() -> None:
    values = np.repeat([1e4, 2e4, 5e4], 10)
    assert len(scan_edges(values, (1e4, 2e4))) == 4
    table = showers(30, 0)
    fixed = Observables(**{**vars(table), "energy": values})
    rows = condition_scan(fixed, fixed, training_range=(1e4, 2e4))
    assert rows is not None
    assert [row["extrapolated"] for row in rows] == [False, False, True]


def test_a_sample_that_lacks_a_bin_gives_none_there() -> None:
    reference, generated = showers(200, 0), showers(200, 1)
    rows = condition_scan(reference, generated[generated.energy < 5e4])
    assert rows is not None
    figures = rows[-1]["observables"]["hits"]
    assert set(figures.values()) == {None}
    assert rows[-1]["n_generated"] == 0


def test_nothing_is_lost_from_the_separation() -> None:
    reference = np.arange(100.0)
    assert histogram_separation(reference, reference) == 0.0
    far = histogram_separation(reference, np.full(100, 1e6))
    # all generated entries in the last of 20 bins: 19 bins of 1/20 against 0, one against 1
    assert far == pytest.approx(0.5 * (19 / 20 + (1 - 1 / 20) ** 2 / (1 + 1 / 20)))
    assert histogram_separation(np.ones(5), reference) is None
    assert histogram_separation(reference, reference[:0]) is None
