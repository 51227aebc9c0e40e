"""The distortions of the power table do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from caloforge.showers import Showers
from equal_samples import over_floor, table
from helpers import lcd_showers
from metric_power import DISTORTIONS, copies, dead_cells, late_start, scale, shifted, smeared


def changed(first: Showers, second: Showers) -> float:
    """Share of the showers that differ."""
    return float(np.mean(np.any(first.dense() != second.dense(), axis=1)))


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("size", [0.03, 0.1])
def test_distorted_showers_stay_showers(name: str, size: float) -> None:
    sample, training = lcd_showers(60, seed=1), lcd_showers(60, seed=2)
    bad = DISTORTIONS[name](sample, training, size, np.random.default_rng(1))
    assert len(bad) == len(sample)
    assert np.array_equal(bad.incident.energy, sample.incident.energy)
    assert 0 < changed(sample, bad) <= 1
    assert bad.total_energy.sum() == pytest.approx(sample.total_energy.sum(), rel=0.12)


def test_sizes_are_what_they_say() -> None:
    sample, training = lcd_showers(300, seed=1), lcd_showers(50, seed=2)
    rng = np.random.default_rng(1)
    total = sample.total_energy
    assert scale(sample, training, 0.03, rng).total_energy == pytest.approx(1.03 * total)
    assert changed(sample, shifted(sample, training, 0.1, rng)) == pytest.approx(0.1, abs=0.06)
    assert changed(sample, late_start(sample, training, 0.1, rng)) == pytest.approx(0.1, abs=0.06)
    assert changed(sample, copies(sample, training, 0.1, rng)) == pytest.approx(0.1, abs=0.06)
    dead = np.setdiff1d(np.unique(sample.cell), dead_cells(sample, training, 0.1, rng).cell)
    assert len(dead) / len(np.unique(sample.cell)) == pytest.approx(0.1, abs=0.03)
    wide = smeared(sample, training, 0.1, rng)
    assert wide.total_energy.sum() == pytest.approx(total.sum(), rel=0.01)
    assert wide.n_hits > sample.n_hits


def test_equal_samples_are_listed_over_their_floor() -> None:
    parts = [lcd_showers(60, seed=seed) for seed in (1, 2, 3)]
    found = over_floor(parts, seed=0)
    assert len(found) == 2
    over = [value for name, value in found[0].items() if name.startswith("separation")]
    assert len(over) >= 9
    assert 0.4 < np.median(over) < 1.6
    assert "separation.hits" in table(found)
