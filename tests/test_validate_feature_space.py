"""Metrics of feature arrays against closed forms, double loops and cases where they must fire."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.errors import ShowerError
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    fpd,
    frechet_distance,
    kpd,
    log_cells,
    mmd,
    prdc,
    prdc_cells,
    prdc_high_level,
    ssim,
    structural_similarity,
    summarise,
)
from caloforge.validate.feature_space import expected_coverage, frechet, kernel, neighbourhoods
from caloforge.validate.feature_space.arrays import normalise, standardise
from caloforge.validate.feature_space.frechet import batch_sizes, fit
from caloforge.validate.ssim import PAIRS, window_of
from helpers import random_showers, small_calorimeter

Floats = NDArray[np.float64]


def gauss(n: int, d: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


# ------------------------------------------------------------------------------- FPD


def test_frechet_distance_of_gaussians_that_commute() -> None:
    variance_1, variance_2 = np.array([1.0, 4.0, 0.0]), np.array([9.0, 1.0, 0.25])
    mean_1, mean_2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    expected = 1 + 4 + np.sum((np.sqrt(variance_1) - np.sqrt(variance_2)) ** 2)
    value = frechet_distance(mean_1, np.diag(variance_1), mean_2, np.diag(variance_2))
    assert value == pytest.approx(expected)
    turn = np.linalg.qr(gauss(3, 3, 0))[0]
    turned = [turn @ np.diag(v) @ turn.T for v in (variance_1, variance_2)]
    assert frechet_distance(mean_1, turned[0], mean_2, turned[1]) == pytest.approx(expected)


def test_frechet_distance_of_two_dimensional_gaussians_in_closed_form() -> None:
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    # for 2 x 2 matrices Tr sqrt(M) = sqrt(Tr M + 2 sqrt(det M))
    trace = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * trace
    assert frechet_distance(np.zeros(2), a, np.zeros(2), b) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_frechet_distance_is_symmetric_and_not_negative(d: int, seed: int) -> None:
    x, y = gauss(d + 2, d, seed), gauss(d + 2, d, seed + 1) * 3
    first = x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))
    second = y.mean(axis=0), np.atleast_2d(np.cov(y, rowvar=False))
    value = frechet_distance(*first, *second)
    assert value >= -1e-9
    assert value == pytest.approx(frechet_distance(*second, *first), abs=1e-9)
    assert frechet_distance(*first, *first) == pytest.approx(0.0, abs=1e-9)


def test_batch_sizes_are_equally_spaced_in_one_over_n() -> None:
    sizes = batch_sizes(10_000, 50_000)
    assert (len(sizes), sizes[0], sizes[-1]) == (10, 10_000, 50_000)
    assert np.diff(1 / np.array(sizes)) == pytest.approx(-(1e-4 - 2e-5) / 9, rel=1e-3)


def test_the_line_is_that_of_a_bounded_curve_fit() -> None:
    from scipy.optimize import curve_fit

    sizes = batch_sizes(1000, 5000)
    x = 1000 / np.array(sizes)
    for values in (0.3 + 2 * x + 0.01 * np.cos(7 * x), 2 * x - 0.5, 1.0 - x):
        line, covariance = curve_fit(
            lambda x, a, b: a + b * x, x, values, bounds=([0, 0], [np.inf, np.inf])
        )
        value, error = fit(sizes, values, bounded=True)
        assert value == pytest.approx(line[0], abs=1e-4)
        assert error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-3)
    assert fit(sizes, 2 * x - 0.5, bounded=False)[0] == pytest.approx(-0.5)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_fpd_extrapolates_to_the_distance_of_the_distributions(shift: float) -> None:
    n, d = 1500, 8
    deviations, errors = [], []
    for seed in range(4):
        x, y = gauss(n, d, seed), gauss(n, d, seed + 100, shift=shift, scale=1.2)
        largest = np.abs(x).max(axis=0)
        expected = np.sum((shift**2 + 0.2**2) / largest**2)
        result = fpd(x, y, seed=seed)
        deviations.append(result["value"] - expected)
        errors.append(result["error"])
        assert result["batch"] == [300, 1500]
        assert result["showers"] == n
        assert not result["published"]
    assert abs(np.mean(deviations)) < 2.5 * np.mean(errors) / 2
    # the bias of the whole sample, which the extrapolation removes: about d / n times 2 / 12
    assert abs(np.mean(deviations)) < 0.5 * 2 * d / n


def test_fpd_draws_the_published_batches_from_large_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frechet, "PUBLISHED_SHOWERS", 500)
    monkeypatch.setattr(frechet, "SMALLEST_BATCH", 100)
    x, y = gauss(600, 3, 0), gauss(700, 3, 1, shift=0.5)
    result = fpd(x, y)
    assert result["published"]
    assert result["batch"] == [100, 500]
    assert result["showers"] == 600
    expected = np.sum(0.25 / np.abs(x).max(axis=0) ** 2)
    assert result["value"] == pytest.approx(expected, abs=5 * result["error"] + 0.02)
    assert fpd(x, x)["value"] >= 0


def test_fpd_bears_constant_features_and_refuses_to_judge_few_showers() -> None:
    x, y = gauss(400, 3, 0), gauss(400, 3, 1)
    plain = fpd(x, y)
    zeros, ones = np.zeros((400, 1)), np.ones((400, 1))
    assert fpd(np.hstack([x, zeros]), np.hstack([y, zeros])) == plain
    apart = fpd(np.hstack([x, 2 * ones]), np.hstack([y, 3 * ones]))
    assert apart["value"] == pytest.approx(plain["value"] + 0.25)
    assert fpd(zeros, zeros)["value"] == 0.0
    only_generated = fpd(np.hstack([x, zeros]), np.hstack([y, gauss(400, 1, 5)]))
    assert only_generated["value"] == pytest.approx(1.0, abs=0.3)
    assert fpd(x[:99], y)["value"] is None
    assert fpd(gauss(400, 50, 0), gauss(400, 50, 1))["value"] is None
    assert fpd(np.zeros((0, 3)), y)["value"] is None
    assert fpd(x, y, seed=4) == fpd(x, y, seed=4) != plain


@pytest.mark.parametrize("bad", [np.full((3, 2), np.nan), np.zeros((3, 1)), np.zeros(3)])
def test_arrays_that_are_no_features_are_refused(bad: Floats) -> None:
    with pytest.raises(ShowerError, match=r"give|remove"):
        kpd(np.zeros((3, 2)), bad)


def test_scaling_follows_the_reference_alone() -> None:
    x, y = np.array([[1.0, -4.0, 0.0], [2.0, 2.0, 0.0]]), np.array([[8.0, 8.0, 8.0]])
    first, second = normalise(x, y)
    assert first.tolist() == [[0.5, -1.0, 0.0], [1.0, 0.5, 0.0]]
    assert second.tolist() == [[4.0, 2.0, 8.0]]
    first, second = standardise(x, y)
    assert first.tolist() == [[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
    assert second.tolist() == [[13.0, 3.0, 8.0]]


# ------------------------------------------------------------------------------- KPD


def naive_mmd(x: Floats, y: Floats) -> float:
    def k(a: Floats, b: Floats) -> float:
        return float((a @ b / len(a) + 1) ** 4)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_mmd_is_the_double_loop() -> None:
    x, y = gauss(11, 3, 0), gauss(7, 3, 1, shift=0.5)
    assert mmd(x, y)[0] == pytest.approx(naive_mmd(x, y))
    assert mmd(np.array([[1.0], [0.0]]), np.array([[2.0], [0.0]]))[0] == pytest.approx(
        1 + 1 - 2 * (3**4 + 1 + 1 + 1) / 4
    )


def test_mmd_of_parts_and_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", 4)
    x, y = gauss(11, 3, 0), gauss(9, 3, 1, scale=1.5)
    rng = np.random.default_rng(0)
    left, right = np.zeros((11, 3)), np.zeros((9, 3))
    rows = []
    for batch in range(3):
        a, b = rng.permutation(11)[:5], rng.permutation(9)[:6]
        left[a, batch], right[b, batch] = 1, 1
        rows.append(naive_mmd(x[a], y[b]))
    assert mmd(x, y, left, right) == pytest.approx(rows)
    assert mmd(x, y)[0] == pytest.approx(naive_mmd(x, y))


def test_kpd_is_unbiased_and_sees_a_difference() -> None:
    values, errors = [], []
    for seed in range(20):
        result = kpd(gauss(200, 4, seed), gauss(200, 4, seed + 500), seed=seed)
        values.append(result["value"])
        errors.append(result["error"])
    assert result["batch"] == 100
    assert abs(np.mean(values)) < 4 * np.mean(errors) / np.sqrt(20)
    assert 0.5 < np.mean(errors) / np.std(values) < 3
    far = kpd(gauss(200, 4, 0), gauss(200, 4, 1, shift=1.0))
    assert far["value"] > 5 * far["error"]


def test_kpd_edge_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gauss(60, 3, 0), gauss(50, 3, 1)
    assert kpd(x[:19], y)["value"] is None
    assert kpd(np.zeros((50, 0)), np.zeros((50, 0)))["value"] is None
    assert kpd(np.zeros((50, 2)), np.zeros((50, 2)))["value"] == pytest.approx(0.0, abs=1e-12)
    assert kpd(x, y, seed=3) == kpd(x, y, seed=3) != kpd(x, y, seed=4)
    monkeypatch.setattr(kernel, "PUBLISHED_SHOWERS", 50)
    monkeypatch.setattr(kernel, "BATCH", 30)
    large = kpd(x, y)
    assert large["published"]
    assert large["batch"] == 30
    assert large["error"] > 0


# ------------------------------------------------------------------------------ PRDC


def naive_prdc(x: Floats, y: Floats, k: int) -> list[float]:
    def radius(points: Floats, i: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - p)) for p in points)[k]

    inside = [[np.linalg.norm(a - b) < radius(x, i) for b in y] for i, a in enumerate(x)]
    other = [[np.linalg.norm(a - b) < radius(y, j) for j, b in enumerate(y)] for a in x]
    return [
        float(np.mean(np.any(inside, axis=0))),
        float(np.mean(np.any(other, axis=1))),
        float(np.sum(inside) / (k * len(y))),
        float(np.mean(np.any(inside, axis=1))),
    ]


@pytest.mark.parametrize(("shift", "k"), [(0.0, 5), (1.0, 3), (0.5, 1)])
def test_prdc_is_the_double_loop(shift: float, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhoods, "BLOCK", 7)
    x, y = gauss(40, 3, 0), gauss(40, 3, 1, shift=shift)
    result = prdc(x, y, neighbours=k)
    expected = naive_prdc(x, y, k)
    keys = ("precision", "recall", "density", "coverage")
    assert [result[key] for key in keys] == pytest.approx(expected)
    assert result["neighbours"] == k
    assert result["showers"] == 40


def test_prdc_of_identical_and_of_disjoint_samples() -> None:
    x = gauss(100, 4, 0)
    same, apart = prdc(x, x), prdc(x, x + 100)
    assert [same[key] for key in ("precision", "recall", "coverage")] == [1.0, 1.0, 1.0]
    assert same["density"] == pytest.approx(1.0)
    keys = ("precision", "recall", "density", "coverage")
    assert [apart[key] for key in keys] == [0.0] * 4
    assert [apart[f"{key}_error"] for key in keys] == [0.0] * 4


def test_prdc_of_equal_distributions_lies_at_its_expectation() -> None:
    runs = [prdc(gauss(500, 3, s), gauss(500, 3, s + 100), seed=s) for s in range(5)]
    for key, expected in (("density", 1.0), ("coverage", runs[0]["coverage_expected"])):
        values = [run[key] for run in runs]
        error = np.mean([run[f"{key}_error"] for run in runs])
        assert np.mean(values) == pytest.approx(expected, abs=4 * error / np.sqrt(5) + 1e-3)
        assert 0.2 < np.std(values) / error < 4
    # all k nearest of n - 1 + m others belong to the same sample, for n = 4, m = 2, k = 2
    assert expected_coverage(4, 2, 2) == pytest.approx(1 - (3 * 2) / (5 * 4))
    assert expected_coverage(10_000, 10_000) == pytest.approx(1 - 2**-5, abs=1e-4)


def test_prdc_tells_a_dropped_mode_from_bad_showers() -> None:
    both = np.concatenate([gauss(150, 2, 0), gauss(150, 2, 1, shift=20)])
    dropped = prdc(both, gauss(300, 2, 2))
    assert dropped["precision"] > 0.9
    assert dropped["recall"] == pytest.approx(0.5, abs=0.05)
    assert dropped["coverage"] < 0.55
    wrong = prdc(gauss(300, 2, 2), both)
    assert wrong["recall"] > 0.9
    assert wrong["precision"] == pytest.approx(0.5, abs=0.05)


def test_prdc_of_few_showers_and_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    few = prdc(gauss(5, 2, 0), gauss(9, 2, 1))
    assert few["precision"] is None
    assert few["coverage_expected"] is None
    some = prdc(gauss(20, 2, 0), gauss(29, 2, 1))
    assert some["precision"] is not None
    assert some["precision_error"] is None
    assert some["showers"] == 20
    assert prdc(np.zeros((0, 2)), gauss(9, 2, 1))["recall"] is None
    monkeypatch.setattr(neighbourhoods, "MAX_SHOWERS", 10)
    assert prdc(gauss(20, 2, 0), gauss(29, 2, 1))["showers"] == 10


def test_log_cells_keep_the_distances_of_the_logarithms() -> None:
    showers = random_showers(12)
    dense = showers.dense().astype(np.float64)
    logs = np.log10(np.where(dense > 0, dense, 0.1))
    table = log_cells(showers)
    assert table.nnz == showers.n_hits
    np.testing.assert_allclose(table.toarray(), logs + 1, atol=1e-5)


def test_prdc_of_cells_is_prdc_of_the_dense_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = random_showers(40, seed=0), random_showers(40, seed=1, occupancy=0.35)
    logs = [np.log10(np.where(s.dense() > 0, s.dense(), 0.1)) for s in (first, second)]
    cells = prdc_cells(first, second)
    dense = prdc(*logs)
    for key in ("precision", "recall", "density", "coverage"):
        assert cells[key] == pytest.approx(dense[key], abs=1e-6)
    assert 0 < cells["precision"] < 1
    monkeypatch.setattr(neighbourhoods, "CELL_SHOWERS", 15)
    assert prdc_cells(first, second)["showers"] == 15


def test_prdc_of_high_level_features_does_not_depend_on_their_units() -> None:
    parts = [summarise(random_showers(60, seed=s))[0] for s in (0, 1)]
    result = prdc_high_level(*parts)
    assert result["showers"] == 60
    assert result["coverage"] > 0.8


# ------------------------------------------------------------------------------ SSIM


def naive_ssim(x: Floats, y: Floats, data_range: float, w: int) -> float:
    values = []
    for i in range(x.shape[0] - w + 1):
        for j in range(x.shape[1] - w + 1):
            for k in range(x.shape[2] - w + 1):
                a = x[i : i + w, j : j + w, k : k + w].ravel()
                b = y[i : i + w, j : j + w, k : k + w].ravel()
                c = np.cov(a, b)
                c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
                top = (2 * a.mean() * b.mean() + c1) * (2 * c[0, 1] + c2)
                bottom = (a.mean() ** 2 + b.mean() ** 2 + c1) * (c[0, 0] + c[1, 1] + c2)
                values.append(top / bottom)
    return float(np.mean(values))


@pytest.mark.parametrize("window", [3, 7])
def test_ssim_is_the_loop_over_windows(window: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.exponential(0.01, (2, 2, 9, 8, 10)) * (rng.random((2, 2, 9, 8, 10)) < 0.3)
    ranges = (1.0, 1e-2, 1e-4, 1e-6)
    values = structural_similarity(x, y, ranges, window)
    for shower in range(2):
        expected = [naive_ssim(x[shower], y[shower], r, window) for r in ranges]
        assert values[shower] == pytest.approx(expected, rel=1e-9)
    assert structural_similarity(x, x, ranges, window) == pytest.approx(1.0)
    assert len(set(np.round(values[0], 8))) == 4


def test_ssim_windows_fit_the_grid() -> None:
    assert window_of((25, 25, 25)) == 7
    assert window_of((6, 25, 25)) == window_of((5, 9, 9)) == 5
    assert window_of((25, 4, 25)) == 3
    assert window_of((25, 2, 25)) is None


def images(n: int, seed: int, *, energy: Floats | None = None, smear: float = 0.0) -> Showers:
    """Showers whose energy sits in one cell, or is spread, in proportion to the incident energy."""
    calorimeter = small_calorimeter(n=7, layers=7)
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1e4, 1e5, n) if energy is None else energy
    dense = np.zeros((n, calorimeter.n_cells))
    dense[:, calorimeter.n_cells // 2] = 0.02 * energy * (1 - smear)
    dense += 0.02 * energy[:, None] * smear / calorimeter.n_cells
    return Showers.from_dense(calorimeter, Incident({"energy": energy}), dense)


def test_ssim_of_equal_generators_matches_the_reference_and_of_others_does_not() -> None:
    result = ssim(images(120, 0), images(120, 1))
    assert result is not None
    assert 45 <= result["pairs"] <= 60  # not all have a partner within 5 %
    assert result["window"] == 7
    ranges = ["1e0", "1e-2", "1e-4", "1e-6"]
    assert list(result) == ["pairs", "window", *ranges]
    for entry in (result[key] for key in ranges):
        assert entry["generated"] == pytest.approx(1.0, abs=0.01)
        assert entry["value"] == pytest.approx(entry["generated"] - entry["reference"], abs=1e-12)
        assert abs(entry["value"]) < 5 * entry["error"] + 1e-9
    flat = ssim(images(120, 0), images(120, 1, smear=1.0))
    assert flat is not None
    assert flat["1e-4"]["value"] < -0.5
    assert flat["1e-4"]["reference"] == result["1e-4"]["reference"]


def test_ssim_images_are_in_gev() -> None:
    energy = np.full(2, 5e4)
    first, second = images(2, 0, energy=energy), images(2, 0, energy=energy, smear=0.5)
    result = ssim(first, second)
    assert result is not None
    x = first.dense()[0].reshape(7, 7, 7) / 1000
    y = second.dense()[0].reshape(7, 7, 7) / 1000
    assert result["pairs"] == 1
    assert result["1e-2"]["generated"] == pytest.approx(naive_ssim(x, y, 1e-2, 7), rel=1e-6)
    assert result["1e-2"]["generated_error"] is None


def test_ssim_pairs_are_of_one_energy_and_not_always_the_same() -> None:
    from caloforge.validate.ssim import _partners

    rng = np.random.default_rng(0)
    energy = np.repeat([1e3, 1e4, 1e5], 40)
    rows = _partners(energy, energy, rng)
    assert (energy[rows] == energy).all()
    assert len(set(rows[:40])) > 15
    wanted, others = rng.uniform(1e3, 2e3, 50), rng.uniform(1e3, 2e3, 300)
    nearest = [int(np.argmin(np.abs(others - e))) for e in wanted]
    assert _partners(wanted, others, rng).tolist() == nearest
    assert _partners(np.array([1e3, 2e3]), np.array([1.2e3]), rng).tolist() == [-1, -1]


def test_ssim_edge_cases() -> None:
    assert ssim(random_showers(9, small_calorimeter(n=2)), random_showers(9)) is None
    one = ssim(images(1, 0), images(5, 0))
    assert one is not None
    assert one["pairs"] == 0
    assert one["1e0"]["generated"] is None
    far = ssim(images(9, 0), images(9, 0, energy=np.full(9, 1.0)))
    assert far is not None
    assert far["pairs"] == 0
    many = ssim(images(2 * PAIRS + 50, 0), images(300, 1))
    assert many is not None
    assert many["pairs"] == PAIRS
    empty = images(50, 3).above_threshold(1e9)
    dark = ssim(empty, empty)
    assert dark is not None
    assert dark["1e-6"]["generated"] == 1.0
