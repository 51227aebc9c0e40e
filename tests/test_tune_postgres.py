"""A study in a real PostgreSQL: two runners, each with a folder of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import OutputError
from caloforge.tune import Tuning, tune, watch
from postgres import PASSWORD, postgres
from tune_cases import GAN, RATE, FakeCrew, fake_judge, showers_file

__all__ = ["fake_judge", "showers_file"]  # fixtures

pytestmark = pytest.mark.usefixtures("fake_judge")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def study(data: Path, folder: Path, crew: FakeCrew, trials: int, **options: Any) -> Tuning:
    return tune(GAN, data, folder, trials=trials, search=[RATE], crew=crew, **options)


def test_two_machines_share_a_study(
    showers_file: Path, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of two machines: two folders, two runners at the same time, one study of ten trials."""
    monkeypatch.setattr(watch, "BEAT", 0.2)
    done: dict[str, Tuning] = {}
    crews = {name: FakeCrew() for name in ("a", "b")}

    def work(name: str) -> None:
        done[name] = study(showers_file, tmp_path / name, crews[name], 10, storage=url)

    threads = [threading.Thread(target=work, args=(name,)) for name in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    a, b = (done[name].results for name in ("a", "b"))
    assert len(a.trials) >= 10
    assert [row.number for row in a.trials] == [row.number for row in b.trials]
    assert a.trials == b.trials
    assert sum(row.default for row in a.trials) == 1
    assert a.trials[0].default
    assert crews["a"].tried
    assert crews["b"].tried
    assert not set(crews["a"].tried) & set(crews["b"].tried)


def test_the_password_is_nowhere(
    showers_file: Path, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "s"
    study(showers_file, folder, FakeCrew(), 2, storage=url, study="mine")
    for path in folder.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
    assert "127.0.0.1" in (folder / "tune.json").read_text()
    with pytest.raises(OutputError, match="password authentication failed") as caught:
        wrong = url.replace(PASSWORD, f"{PASSWORD}-not")
        study(showers_file, tmp_path / "w", FakeCrew(), 2, storage=wrong)
    with pytest.raises(OutputError, match="cannot be used") as silent:
        nobody = url.rpartition(":")[0] + ":9/postgres"
        study(showers_file, tmp_path / "w", FakeCrew(), 2, storage=nobody)
    for error in (caught, silent):
        assert PASSWORD not in str(error.value)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "w").exists()
