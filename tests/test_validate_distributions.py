"""One-dimensional distances, tails and mode coverage: closed forms, and cases that must fire."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.validate import (
    Observables,
    Summary,
    clopper_pearson,
    distributions,
    holm,
    kolmogorov_smirnov,
    mode_coverage,
    mode_features,
    observables,
    summarise,
    tails,
    wasserstein,
)
from caloforge.validate.mode_coverage import comparable, jensen_shannon, z_scores
from caloforge.validate.tails import highest_cell, quantile, tail
from helpers import random_showers, small_calorimeter

Floats = NDArray[np.float64]


# ------------------------------------------------------------------------ KS and W1


def test_distances_of_shifted_uniform_distributions() -> None:
    n = 8192  # powers of two: exact numbers
    grid = (np.arange(n) + 0.5) / n
    ks, w1 = kolmogorov_smirnov(grid, grid + 0.25), wasserstein(grid, grid + 0.25)
    assert ks is not None
    assert w1 is not None
    assert ks["statistic"] == pytest.approx(0.25)
    assert (ks["p_value"] or 0.0) < 1e-200
    assert w1["distance"] == pytest.approx(0.25)
    assert w1["normalised"] == pytest.approx(0.25 * np.sqrt(12), rel=1e-4)
    wide = wasserstein(grid, 2 * grid)
    assert wide is not None
    assert wide["distance"] == pytest.approx(0.5)


values_of = st.lists(st.integers(-5, 5) | st.floats(-10, 10), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(values_of, values_of)
def test_distances_are_those_of_the_written_definitions(a: list[float], b: list[float]) -> None:
    ks, w1 = kolmogorov_smirnov(a, b), wasserstein(a, b)
    points = sorted(set(a) | set(b))
    first = np.array([np.mean(np.array(a) <= x) for x in points])
    second = np.array([np.mean(np.array(b) <= x) for x in points])
    assert ks is not None
    assert w1 is not None
    assert ks["statistic"] == pytest.approx(np.abs(first - second).max(), abs=1e-12)
    area = np.sum(np.abs(first - second)[:-1] * np.diff(points))
    assert w1["distance"] == pytest.approx(area, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(50, 80), (1000, 900), (1500, 2500)])
@pytest.mark.parametrize("discrete", [False, True])
def test_distances_are_those_of_scipy(n: int, m: int, discrete: bool) -> None:
    from scipy.stats import ks_2samp, wasserstein_distance

    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n) * 3, rng.normal(size=m) * 3 + 0.2
    if discrete:
        a, b = np.round(a), np.round(b)
    expected = ks_2samp(a, b, method="auto" if n <= 1000 else "asymp")
    ks, w1 = kolmogorov_smirnov(a, b), wasserstein(a, b)
    assert ks is not None
    assert w1 is not None
    assert ks["statistic"] == pytest.approx(expected.statistic)
    assert ks["p_value"] == pytest.approx(expected.pvalue)
    assert w1["distance"] == pytest.approx(wasserstein_distance(a, b))
    assert w1["normalised"] == pytest.approx(wasserstein_distance(a, b) / a.std())


def test_distances_without_entries_or_spread() -> None:
    assert kolmogorov_smirnov([], [1.0]) is None
    assert wasserstein([1.0], []) is None
    assert wasserstein([2.0, 2.0], [3.0]) == {"distance": 1.0, "normalised": None}
    assert kolmogorov_smirnov([2.0] * 5, [2.0] * 5) == {"statistic": 0.0, "p_value": 1.0}


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferroni(
    p_values: list[float],
) -> None:
    corrected = holm(p_values)
    for p, value in zip(p_values, corrected, strict=True):
        assert min(p, 1.0) <= value <= min(1.0, p * len(p_values))
    assert min(corrected) == min(1.0, min(p_values) * len(p_values))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


def toy(n: int, seed: int, *, scale: float = 1.0, late: float = 0.3) -> Showers:
    """Showers that start early or, a share ``late`` of them, late; 10 to 100 GeV."""
    rng = np.random.default_rng(seed)
    geometry = small_calorimeter(n=5, layers=6)
    x, y, z = geometry.cell_positions.T
    energy = rng.uniform(1e4, 1e5, n)
    start = np.where(rng.random(n) < late, 22.0, 8.0) + rng.normal(0, 1.0, n)
    shape = np.exp(-(x**2 + y**2) / 200) * np.exp(-((z - start[:, None]) ** 2) / 50)
    shape /= shape.sum(axis=1, keepdims=True)
    dense = rng.gamma(3.0 + 0 * shape) / 3.0 * shape * energy[:, None] * 0.02 * scale
    dense[dense < geometry.cell_threshold] = 0
    return Showers.from_dense(geometry, Incident({"energy": energy}), dense)


@pytest.fixture(scope="module")
def reference() -> Summary:
    return summarise(toy(2000, 0))[0]


@pytest.fixture(scope="module")
def same() -> Summary:
    return summarise(toy(2000, 1))[0]


def test_distributions_hold_every_observable(reference: Summary, same: Summary) -> None:
    result = distributions(reference, same)
    assert set(result["showers"]) == {
        "etot_over_einc",
        "hits",
        "hit_pairs",
        "depth",
        *(f"{kind}_{axis}" for kind in ("mean", "width") for axis in "xy"),
        "width_z",
        "roughness",
    }
    assert set(result["layers"]) == {
        *("layer_energy", "layer_share", "sparsity"),
        *(f"{kind}_{axis}" for kind in ("centre", "width") for axis in "xy"),
    }
    entries = [e for e in result["showers"].values() if e is not None]
    entries += [e for column in result["layers"].values() for e in column if e is not None]
    assert result["tests"] == len(entries) == 10 + 7 * 6
    smallest = min(entry["p_value"] for entry in entries)
    assert result["smallest"]["p_value"] == smallest
    assert result["smallest"]["p_holm"] == pytest.approx(min(1.0, smallest * len(entries)))
    assert result["smallest"]["p_holm"] > 0.01
    hits = result["showers"]["hits"]
    expected = kolmogorov_smirnov(reference.observables.hits, same.observables.hits)
    assert expected is not None
    assert hits["p_value"] == expected["p_value"]


def test_distributions_find_what_differs(reference: Summary) -> None:
    bright = summarise(toy(2000, 1, scale=1.1))[0]
    result = distributions(reference, bright)
    assert result["smallest"]["p_holm"] < 1e-6
    assert result["smallest"]["observable"] == "etot_over_einc"
    assert result["smallest"]["layer"] is None
    shift = 0.002 / reference.observables.response.std()
    value = result["showers"]["etot_over_einc"]["wasserstein_normalised"]
    assert value == pytest.approx(shift, rel=0.15)
    late = distributions(reference, summarise(toy(2000, 1, late=0.0))[0])
    assert late["showers"]["depth"]["p_holm"] < 1e-6
    assert late["showers"]["mean_x"]["p_holm"] > 1e-3
    column = [entry["statistic"] for entry in late["layers"]["layer_energy"]]
    assert late["mean"]["layer_energy"]["statistic"] == pytest.approx(np.mean(column))


def test_a_layer_that_is_off_shows_in_its_share(reference: Summary) -> None:
    """The incident energies spread the layer's energy by far more than it is off."""
    good = toy(2000, 1)
    third = good.calorimeter.cell_layer[good.cell] == 2
    energy = np.where(third, 1.2 * good.energy, good.energy)
    off = Showers(good.calorimeter, good.incident, good.offset, good.cell, energy)
    layers = distributions(reference, summarise(off)[0])["layers"]
    assert layers["layer_share"][2]["p_holm"] < 1e-6
    assert layers["layer_energy"][2]["p_holm"] > 1e3 * layers["layer_share"][2]["p_holm"]


def test_roughness_of_known_profiles() -> None:
    from caloforge.observables.layers import roughness

    profiles = np.array([[0.0, 0, 0, 0], [1, 2, 3, 4], [0, 5, 0, 0], [1, 1, 2, 2]])
    assert roughness(profiles) == pytest.approx([0.0, 0.0, 3.0, 2 / 6])
    assert roughness(np.array([[1.0, 2.0]])).tolist() == [0.0]


def test_distributions_leave_out_what_no_layer_measures() -> None:
    calorimeter = load_detector("calogan-lar")
    parts = [summarise(random_showers(30, calorimeter, s, occupancy=0.2))[0] for s in (0, 1)]
    result = distributions(*parts)
    assert "centre_r" not in result["layers"]
    assert len(result["layers"]["layer_energy"]) == 3


def test_distributions_of_empty_layers_and_showers_are_none() -> None:
    calorimeter = small_calorimeter()
    dense = np.zeros((6, calorimeter.n_cells))
    dense[:, :25] = 1.0
    dense[0] = 0
    sample = Showers.from_dense(calorimeter, Incident({"energy": np.full(6, 1e3)}), dense)
    empty = Showers.from_dense(calorimeter, sample.incident, 0 * dense)
    result = distributions(summarise(sample)[0], summarise(empty)[0])
    assert result["showers"]["depth"] is None
    assert result["layers"]["layer_energy"] == [None] * 4
    assert result["mean"]["layer_energy"] == {"statistic": None, "wasserstein_normalised": None}
    assert result["showers"]["hits"]["statistic"] == pytest.approx(5 / 6)
    assert all(entry is not None for entry in result["layers"]["sparsity"])


# ---------------------------------------------------------------------------- tails


def test_clopper_pearson_solves_the_binomial_tails() -> None:
    from scipy.stats import binom

    interval = clopper_pearson(3, 20, 0.95)
    assert interval is not None
    low, high = interval
    assert binom.sf(2, 20, low) == pytest.approx(0.025)
    assert binom.cdf(3, 20, high) == pytest.approx(0.025)
    assert interval == pytest.approx((0.03207094, 0.37892683), abs=1e-7)
    assert clopper_pearson(0, 10, 0.95) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert clopper_pearson(10, 10, 0.95) == pytest.approx((0.025**0.1, 1.0))
    assert clopper_pearson(0, 0) is None


def test_the_error_of_a_quantile_is_its_spread() -> None:
    rng = np.random.default_rng(0)
    runs = [quantile(rng.exponential(size=2000), 0.99) for _ in range(150)]
    values, errors = np.array(runs).T
    assert values.mean() == pytest.approx(-np.log(0.01), rel=0.01)
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5)[0] == 2.0
    assert quantile([5.0], 0.99) == (5.0, 0.0)


def test_a_tail_by_hand() -> None:
    reference = np.arange(1.0, 1001.0)
    entry = tail(reference, reference * 1.125, 0.01, "high")
    assert entry["reference"] == 990.0
    assert entry["generated"] == 990 * 1.125
    assert entry["rel_difference"] == pytest.approx(0.125)
    assert entry["share_expected"] == 0.01
    assert entry["share"] == 0.12  # 881 to 1000 times 1.125 are beyond 990
    low, high = entry["share_interval"]
    assert low < 0.12 < high
    assert entry["p_value"] < 1e-10
    lower = tail(reference, reference + 5, 0.01, "low")
    assert lower["reference"] == 10.0
    assert lower["share_expected"] == 0.009
    assert lower["share"] == 0.004


def test_tails_beyond_the_reach_are_none() -> None:
    rng = np.random.default_rng(0)
    assert tail(rng.normal(size=999), rng.normal(size=5000), 0.01, "high") is None
    few = tail(rng.normal(size=1000), rng.normal(size=50), 0.01, "high")
    assert few["generated"] is None
    assert few["rel_difference"] is None
    assert few["share_interval"][1] > 0.02
    assert tail(rng.normal(size=1000), [], 0.01, "high") is None
    zero = tail(np.zeros(1000), np.ones(1000), 0.01, "high")
    assert zero["rel_difference"] is None
    assert zero["share"] == 1.0
    assert zero["share_expected"] == 0.0


def test_intervals_of_shares_hold_the_truth_and_p_values_stay_above_chance() -> None:
    rng = np.random.default_rng(1)
    entries = [tail(rng.normal(size=2000), rng.normal(size=2000), 0.01, "high") for _ in range(100)]
    assert np.mean([entry["p_value"] < 0.05 for entry in entries]) < 0.12
    pulls = [entry["rel_difference"] / entry["rel_difference_error"] for entry in entries]
    assert 0.7 < np.std(pulls) < 1.3


def test_tails_of_two_samples(reference: Summary, same: Summary) -> None:
    result = tails(reference, same)
    assert set(result["observables"]) == {
        *("etot_over_einc", "hits", "depth", "width_x", "width_y", "width_z", "highest_cell")
    }
    for entry in result["observables"].values():
        assert entry["reach"] == 0.005
        known = [row is not None for row in entry["tails"]]
        assert known == [False, False, True, True, False, False]
    assert result["smallest_p_holm"] > 0.01
    bright = tails(reference, summarise(toy(2000, 1, scale=1.1))[0])
    assert bright["smallest_p_holm"] < 1e-6
    high = bright["observables"]["etot_over_einc"]["tails"][3]
    assert high["rel_difference"] == pytest.approx(0.1, abs=4 * high["rel_difference_error"])


def test_tails_of_small_and_of_empty_samples() -> None:
    few = [summarise(random_showers(20, seed=s))[0] for s in (0, 1)]
    result = tails(*few)
    assert result["smallest_p_holm"] is None
    assert result["observables"]["hits"] == {"reach": 0.5, "tails": [None] * 6}
    empty = summarise(random_showers(20).above_threshold(1e9))[0]
    assert tails(empty, few[0])["observables"]["depth"]["reach"] is None


def test_highest_cell_of_every_shower() -> None:
    showers = random_showers(9)
    expected = showers.dense().max(axis=1) / showers.incident.energy
    np.testing.assert_allclose(highest_cell(showers), expected)
    assert highest_cell(showers.above_threshold(1e9)).tolist() == [0.0] * 9


# -------------------------------------------------------------------- mode coverage


def test_z_scores_and_divergence_by_hand() -> None:
    first, second = np.array([60, 40]), np.array([30, 70])
    z = (0.3 - 0.6) / np.sqrt(0.45 * 0.55 * (1 / 100 + 1 / 100))
    assert z_scores(first, second) == pytest.approx([z, -z])
    middle = np.array([0.45, 0.55])
    expected = sum(
        0.5 * np.sum(p * np.log2(p / middle)) for p in (np.array([0.6, 0.4]), np.array([0.3, 0.7]))
    )
    assert jensen_shannon(first, second) == pytest.approx(expected)
    assert jensen_shannon(np.array([5, 0]), np.array([0, 9])) == pytest.approx(1.0)
    assert jensen_shannon(first, 3 * first) == pytest.approx(0.0)
    rare = np.array([4, 96]), np.array([4, 96])
    assert comparable(*rare).tolist() == [False, True]
    assert z_scores(np.array([9, 91]), np.array([0, 100]))[0] == 0.0  # 4.5 expected: not tested


def table(n: int, seed: int, late: float = 0.3) -> Observables:
    return observables(toy(n, seed, late=late))


def test_equal_samples_lie_at_the_expected_number_of_different_bins() -> None:
    first, second = table(3000, 0), table(3000, 1)
    runs = [mode_coverage(first, second, seed=s) for s in range(4)]
    runs += [mode_coverage(second, first, seed=s) for s in range(4)]
    assert all(run["energy_bins"] == 7 for run in runs)
    assert all(run["clusters"] > 50 for run in runs)
    assert np.mean([run["ndb_expected"] for run in runs]) == pytest.approx(0.05, abs=0.01)
    assert np.mean([run["ndb"] for run in runs]) == pytest.approx(0.05, abs=0.035)
    assert np.mean([run["jsd"] / run["jsd_expected"] for run in runs]) == pytest.approx(1, abs=0.2)
    assert max(run["jsd_p_value"] for run in runs) > 0.05


def test_a_dropped_mode_lights_up() -> None:
    result = mode_coverage(table(2000, 0), table(2000, 1, late=0.0))
    assert result["ndb"] > 0.4
    assert result["ndb_p_value"] < 0.01
    assert result["jsd"] > 5 * result["jsd_expected"]
    assert result["jsd_p_value"] < 0.01
    assert result["missing"] >= 3
    rarer = mode_coverage(table(2000, 0), table(2000, 1, late=0.2))
    assert rarer["jsd_p_value"] < 0.05
    assert rarer["missing"] == 0


def test_mode_coverage_of_discrete_energies_and_of_few_showers() -> None:
    first, second = table(300, 0), table(300, 1)
    both = [replace(t, energy=np.repeat([1e4, 2e4, 4e4], 100)) for t in (first, second)]
    assert mode_coverage(*both)["energy_bins"] == 3
    assert mode_coverage(first, second)["energy_bins"] == 1
    few = mode_coverage(first[:60], second)
    assert few["ndb"] is None
    assert few["jsd"] is None
    assert few["clusters"] == 0
    empty = observables(random_showers(50).above_threshold(1e9))
    assert mode_coverage(empty, empty)["jsd"] is None
    assert mode_coverage(first, second, seed=1) == mode_coverage(first, second, seed=1)


def test_mode_coverage_bears_showers_that_are_all_alike() -> None:
    one = table(2, 0)[np.zeros(400, dtype=np.int64)]
    result = mode_coverage(one, one)
    assert result["jsd"] == pytest.approx(0.0, abs=1e-9)
    assert result["different"] == 0


def test_mode_features_are_eleven_numbers() -> None:
    sample = table(7, 0)
    features = mode_features(sample)
    assert features.shape == (7, 11)
    np.testing.assert_array_equal(features[:, 0], sample.total / sample.energy)
    assert features[:, 8:].sum(axis=1) == pytest.approx(1.0)


def test_p_values_of_large_samples_are_numbers_without_warnings() -> None:
    rng = np.random.default_rng(5)
    first = rng.random(100_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shift in np.linspace(0, 0.02, 41):
            found = kolmogorov_smirnov(first, rng.random(100_000) + shift)
            assert found is not None
            p_value = found["p_value"]
            assert p_value is not None
            assert 0 <= p_value <= 1
