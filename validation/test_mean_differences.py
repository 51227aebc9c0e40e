"""The table of mean_differences.py on samples whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.store import write_showers
from mean_differences import main, rows


def electrons(path: Path, scale: float) -> Path:
    """200 showers of 65 hits with 1 to 2 MeV times ``scale`` in each of 25 layers, at 1 GeV."""
    calorimeter = load_detector("lcd-ecal-25")
    rng = np.random.default_rng(3)
    dense = np.zeros((200, 25, 625), dtype=np.float32)
    dense[:, :, 280:345] = rng.uniform(1.0, 2.0, (200, 25, 65)) * scale
    incident = Incident({"energy": np.full(200, 1000.0)})
    return write_showers(path, Showers.from_dense(calorimeter, incident, dense.reshape(200, -1)))


def test_the_same_sample_is_the_same(tmp_path: Path) -> None:
    one = electrons(tmp_path / "one.h5", 1.0)
    for _, off, wide in rows(one, one):
        assert off.value == 0.0
        assert off.error >= 0.0
        assert np.isnan(wide.value) or wide.value == 1.0  # hits: no spread
        assert np.isnan(wide.value) or wide.error == pytest.approx(200**-0.5)


def test_a_scale_is_seen_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = electrons(tmp_path / "one.h5", 1.0), electrons(tmp_path / "other.h5", 1.02)
    found = {name: off.value for name, off, _ in rows(one, other)}
    for name in ("response", "energy of a hit"):
        assert found[name] == pytest.approx(2.0, abs=1e-3)
    for name in ("hits", "depth", "width"):
        assert found[name] == pytest.approx(0.0, abs=1e-3)
    main(str(one), str(other))
    assert "| response | +2.00 ± 0." in capsys.readouterr().out
