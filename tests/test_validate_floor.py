"""The floor and the uncertainties: samples cut in parts, put together anew, and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.validate import binning, halves, separation, summarise, threedgan_metric, validate
from caloforge.validate.exchange import exchange
from caloforge.validate.expectation import expectation
from caloforge.validate.floor import folds, paired
from caloforge.validate.folded import Folded, Sums, folded
from caloforge.validate.histograms import Counts, Histograms, bin_growth
from caloforge.validate.jackknife import jackknife
from caloforge.validate.lookup import Figure, figure
from caloforge.validate.report import judges
from caloforge.validate.report.judges import LARGE, NEAR, UNKNOWN, VISIBLE
from caloforge.validate.separation import separate
from caloforge.validate.summary import Summary, join, keep_rows
from caloforge.validate.threedgan import figure_of_merit
from test_validate_metrics import toy


def energies(n: int) -> NDArray[np.float64]:
    return np.random.default_rng(7).uniform(1e4, 1e5, n)


def test_halves_share_the_sample_evenly() -> None:
    mask = halves(energies(101), seed=3)
    assert mask is not None
    assert mask.sum() == 50
    again = halves(energies(101), seed=3)
    assert again is not None
    assert np.array_equal(mask, again)
    other = halves(energies(101), seed=4)
    assert other is not None
    assert not np.array_equal(mask, other)
    assert halves(energies(3)) is None


def test_halves_have_the_same_incident_energies() -> None:
    values = energies(1000)
    for energy in (values, np.sort(values), np.round(values, -4)):
        mask = halves(energy, seed=1)
        assert mask is not None
        first, second = np.sort(energy[mask]), np.sort(energy[~mask])
        assert np.abs(first - second).max() <= np.diff(np.sort(energy)).max()
        assert first.mean() == pytest.approx(second.mean(), rel=2e-3)


def test_independent_halves_differ_in_their_energies() -> None:
    gaps = []
    for pairs in (True, False):
        masks = [halves(energies(100), seed=seed, pairs=pairs) for seed in range(50)]
        means = [energies(100)[m].mean() - energies(100)[~m].mean() for m in masks if m is not None]
        gaps.append(float(np.std(means)))
    assert gaps[1] == pytest.approx(energies(100).std() * 2 / np.sqrt(100), rel=0.3)
    assert gaps[0] < 0.1 * gaps[1]


def test_samples_with_the_same_energies_are_known() -> None:
    rng = np.random.default_rng(1)
    values = energies(500)
    assert paired(values, rng.permutation(values))
    assert paired(values, np.repeat(values, 3))
    assert paired([5e4] * 3, [5e4] * 7)
    others = [paired(values, rng.uniform(1e4, 1e5, 500)) for _ in range(100)]
    assert np.mean(others) < 0.05
    assert not paired(values, values * 1.1)


def test_which_half_a_shower_falls_into_is_random() -> None:
    masks = [halves(energies(100), seed=seed) for seed in range(400)]
    share = np.mean([mask for mask in masks if mask is not None], axis=0)
    assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(400)


@pytest.mark.parametrize("n", [40, 41, 400])
def test_each_half_keeps_its_share_of_whole_showers(n: int) -> None:
    mask = halves(energies(n), seed=3)
    assert mask is not None
    first, second = summarise(toy(n, 0), group=mask, seed=3, keep=20)
    assert len(first.kept) == len(second.kept) == 10
    assert abs(len(first) - len(second)) <= 1


def test_a_small_part_leaves_its_share_to_the_other() -> None:
    group = np.arange(50) < 3
    kept = keep_rows(50, 20, 0, group)
    assert kept.sum() == 20
    assert kept[group].all()
    assert keep_rows(50, 20, 0, ~group).sum() == 20
    assert keep_rows(50, 80, 0, group).all()


def test_kept_showers_are_independent_of_the_halves() -> None:
    mask = halves(energies(4000), seed=5)
    assert mask is not None
    kept = keep_rows(4000, 2000, 5)
    assert np.mean(kept == mask) == pytest.approx(0.5, abs=0.05)


def cut(n: int, seed: int, **change: float) -> Folded:
    summary = summarise(toy(n, seed, **change))[0]
    return folded(summary, binning(reference()), np.array([2e4, 5e4]))


def reference() -> Summary:
    return summarise(toy(400, 0))[0]


def both_halves(n: int, seed: int) -> tuple[Folded, Folded]:
    """The two halves of a sample, each in its folds."""
    sample = toy(n, seed)
    energy = sample.incident.energy
    group = halves(energy, seed)
    parts = summarise(sample, group=group, fold=folds(energy, seed), seed=seed)
    bins = binning(join(parts))
    first, second = (folded(part, bins, np.array([5e4])) for part in parts)
    return first, second


@pytest.mark.parametrize("pairs", [True, False])
def test_folds_are_equal_and_hold_whole_pairs(pairs: bool) -> None:
    energy = energies(1001)
    fold, mask = folds(energy, 3, pairs=pairs), halves(energy, 3, pairs=pairs)
    assert mask is not None
    assert np.array_equal(np.sort(np.bincount(fold)), [100] * 9 + [101])
    assert np.array_equal(np.bincount(fold[mask]), [50] * 10)
    spread = np.std([energy[fold == k].mean() for k in range(10)])
    independent = energy.std() / np.sqrt(100)
    assert spread < 0.1 * independent if pairs else spread > 0.4 * independent
    assert folds(energies(1)).tolist() == [0]
    assert len(np.unique(folds(energies(9)))) == 4


def test_the_sums_of_all_folds_are_those_of_the_sample() -> None:
    sample = summarise(toy(120, 1))[0]
    bins, near = binning(reference()), np.array([2e4, 5e4])
    parts = folded(sample, bins, near)
    whole, rest = parts.sums(), parts.sums(np.arange(10) < 7) + parts.sums(np.arange(10) >= 7)
    other = cut(400, 0).sums()
    expected = separation(reference(), sample, bins)
    for sums in (whole, rest):
        found = separate(other.histograms, sums.histograms)
        assert found.value == pytest.approx(expected.value)
        assert found.out_of_range == expected.out_of_range
        assert sums.profiles.cells.first == pytest.approx(sample.profiles.cells.first)
        assert np.sort(sums.table.total) == pytest.approx(np.sort(sample.observables.total))
        assert figure_of_merit(other.near, sums.near, near, angle=False)["total"] == pytest.approx(
            threedgan_metric(reference().kept, sample.kept, near)["total"]
        )


def mean_response(first: Sums, second: Sums) -> dict[str, Any]:
    return {"gap": float(second.table.response.mean() - first.table.response.mean()), "n": 3}


def test_the_jackknife_knows_the_error_of_a_mean() -> None:
    found = []
    for seed in range(20):
        first, second = cut(300, seed), cut(300, seed + 100)
        errors = jackknife(first, second, mean_response)
        assert list(errors) == ["gap"], "a count has no error"
        found.append(errors["gap"])
    sigma = cut(300, 1).table.response.std()
    assert np.mean(found) == pytest.approx(sigma * np.sqrt(2 / 300), rel=0.15)
    assert jackknife(cut(7, 0), cut(7, 1), mean_response) == {}


def test_exchanged_halves_have_the_analytic_floor() -> None:
    """B well-filled bins of n against n entries: S = chi^2 / 2n with B - 1 degrees of freedom."""

    def powers(first: Sums, second: Sums) -> dict[str, Any]:
        counts = [
            np.histogram(np.log(s.table.energy), np.log([1e4, 2e4, 3e4, 4e4, 1e5]))[0]
            for s in (first, second)
        ]
        p, q = (c / c.sum() for c in counts)
        return {"s": float(0.5 * np.sum((p - q) ** 2 / (p + q)))}

    means, spreads = [], []
    for seed in range(30):
        sample = toy(400, seed)
        group = halves(sample.incident.energy, seed, pairs=False)
        fold = folds(sample.incident.energy, seed, pairs=False)
        parts = summarise(sample, group=group, fold=fold)
        bins = binning(join(parts))
        first, second = (folded(part, bins, np.array([5e4])) for part in parts)
        mean, spread = exchange(first, second, powers, seed=seed)
        means.append(mean["s"])
        spreads.append(spread["s"])
    assert np.mean(means) == pytest.approx(3 / (2 * 200), rel=0.15)
    assert np.mean(spreads) == pytest.approx(np.sqrt(2 * 3) / (2 * 200), rel=0.2)


def test_exchange_keeps_numbers_and_energies() -> None:
    first, second = both_halves(400, 2)
    seen = []

    def watch(one: Sums, two: Sums) -> dict[str, Any]:
        seen.append((len(one.table), len(two.table)))
        return {"gap": float(one.table.energy.mean() - two.table.energy.mean())}

    means, spread = exchange(first, second, watch, rounds=5)
    assert seen == [(200, 200)] * 5
    assert abs(means["gap"]) + spread["gap"] < 200.0, "MeV of 55,000: neighbours in energy"
    assert exchange(*both_halves(12, 0), watch) != ({}, {})
    assert exchange(*both_halves(6, 0), watch) == ({}, {})


def test_the_floor_is_brought_to_the_number_of_showers() -> None:
    floor = {
        "separation": {"hits": 0.04, "depth": None},
        "profiles": {"x": {"mean_rel_error": 0.1, "rel_difference": [0.1]}},
        "cells": {"mean_rel_error": 0.2, "n": 7},
        "auc": {"low": {"mean": 0.5}},
        "threedgan": {"moments": 0.01, "profiles": 0.03, "angle": 0.02, "total": 0.06}
        | {"total_moments_twice": 0.07, "bins": [{"moments": 0.01}]},
        "errors": {"separation": {"hits": 0.004}},
    }
    counts = Histograms({"hits": Counts(np.full(5, 99.0), 495, 0)}, {}, Counts(np.ones(2), 2, 0))
    same = expectation(floor, counts, 1000, 1000)
    assert same["separation"] == {"hits": pytest.approx(0.02), "depth": None}
    assert same["errors"]["separation"]["hits"] == pytest.approx(0.002)
    assert same["profiles"]["x"]["mean_rel_error"] == pytest.approx(0.1 * np.sqrt(0.5))
    assert same["profiles"]["x"]["rel_difference"] == [0.1]
    assert same["cells"]["n"] == 7
    assert same["auc"] == floor["auc"]
    assert same["threedgan"]["total"] == pytest.approx(0.04 * np.sqrt(0.5) + 0.02)
    many = expectation(floor, counts, 1000, 10**9)
    assert many["separation"]["hits"] == pytest.approx(0.01)
    kept = expectation(floor, counts, 10**6, 10**6)
    assert kept["threedgan"]["moments"] == pytest.approx(0.01 * np.sqrt(0.5))
    assert kept["separation"]["hits"] == pytest.approx(0.02)


def test_bins_that_more_entries_will_fill() -> None:
    rng = np.random.default_rng(3)
    found, wanted = [], []
    for _ in range(200):
        first, more = (np.bincount(rng.zipf(1.6, 300) % 400, minlength=400) for _ in range(2))
        found.append(bin_growth([Counts(first.astype(np.float64), 300, 0)], 1.0))
        wanted.append(np.count_nonzero(first + more) / np.count_nonzero(first))
    assert np.mean(wanted) > 1.3
    assert np.mean(found) == pytest.approx(np.mean(wanted), rel=0.03)
    assert bin_growth([Counts(np.full(9, 50.0), 450, 0), None], 1.0) == 1.0
    assert bin_growth([Counts(np.zeros(9), 0, 0)], 1.0) == 1.0


@pytest.mark.parametrize("generated", [300, 1200])
def test_equal_samples_lie_at_the_floor(generated: int) -> None:
    """Of any size; the floor is the mean, so some figures of some samples lie below it."""
    metrics = validate(toy(600, 1), toy(generated, 2), classifiers=False).metrics
    over = []
    for name in ("centre_x", "centre_y", "width_x", "width_y", "layer_energy", "sparsity"):
        found, floor = (figure(m, f"separation.{name}") for m in (metrics, metrics["floor"]))
        assert judges.separation(found, floor).state == NEAR
        over.append(judges.separation(found, floor).over or 0.0)
    assert np.mean(over) == pytest.approx(1.0, abs=0.15)


def test_words_of_the_judges() -> None:
    floor = Figure(0.02, 0.001)
    words = [judges.ratio(Figure(v), floor).state for v in (0.0, 0.0249, 0.0251, 0.19, 0.21)]
    assert words == [NEAR, NEAR, VISIBLE, VISIBLE, LARGE]
    assert judges.separation(Figure(0.0269), floor).state == NEAR
    assert judges.separation(Figure(0.0271), floor).state == VISIBLE
    assert judges.ratio(Figure(0.03), Figure(0.02)).state == NEAR, "up to twice, not knowing more"
    assert judges.ratio(Figure(0.0), Figure(0.0)).state == NEAR
    assert judges.ratio(Figure(0.1), Figure(0.0)).state == LARGE
    assert judges.ratio(Figure(0.9), Figure(0.02, 0.3)).state == NEAR
    words = [judges.lack(Figure(v, 0.06), Figure(0.98, 0.01)).state for v in (0.9, 0.6, 0.3, 0.0)]
    assert words == [NEAR, VISIBLE, LARGE, LARGE]
    assert judges.one(Figure(0.95, 0.02), Figure(1.0)).state == NEAR
    assert judges.one(Figure(0.95, 0.005), Figure(1.0)).state == VISIBLE
    assert judges.one(Figure(0.8, 0.005), Figure(1.0)).state == LARGE
    assert judges.zero(Figure(-0.06, 0.01), Figure(0.0)).state == VISIBLE
    assert all(judge(Figure(None), floor).state == UNKNOWN for judge in judges.JUDGES.values())
