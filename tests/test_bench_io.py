"""bench io compares like with like: every layout delivers the same showers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caloforge.bench import bench_io
from caloforge.bench.io import LAYOUTS, prepare
from caloforge.errors import ConfigError
from caloforge.store import open_showers, write_showers
from helpers import lcd_showers


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pass_delivers_every_shower_once(tmp_path: Path, layout: str) -> None:
    showers = lcd_showers(448)
    path = write_showers(tmp_path / "a.h5", showers)
    with open_showers(path) as reader:
        passes, size = prepare(layout, reader, path, tmp_path, 448, 64, workers=2, passes=2)
    assert size > 100_000
    for _ in range(2):
        sums = np.concatenate([np.asarray(batch).sum(axis=1, dtype=float) for batch in passes()])
        assert np.allclose(np.sort(sums), np.sort(showers.total_energy), rtol=1e-6)


def test_the_figures_fit_together(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", lcd_showers(300))
    result = bench_io(path, batch_size=32, rounds=1, step_ms=1.0)
    assert [row.layout for row in result.rows] == list(LAYOUTS)
    rates = {row.layout: row.showers_per_second for row in result.rows}
    for row in result.rows:
        assert row.ratio == pytest.approx(rates[row.layout] / rates["seed"])
        assert row.gb_per_second == pytest.approx(row.showers_per_second * 15625 * 4 / 1e9)
        assert 1000 < row.bytes_per_shower < 62_500
    assert result.waiting_percent is not None
    assert 0 <= result.waiting_percent <= 100
    assert result.dense_gb == pytest.approx(300 * 62_500 / 1e9)


def test_wrong_wishes(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", lcd_showers(30))
    with pytest.raises(ConfigError, match="--layouts zip"):
        bench_io(path, layouts=["zip"])
    with pytest.raises(ConfigError, match="less than one batch"):
        bench_io(path)
