"""Stored machine code: used while its source stays as it is, dropped when any of it changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import caching

from caloforge.compiled import STAMP, compiled, drop_stale

CALLED = """
from typing import NamedTuple
from caloforge.compiled import compiled

class {name}(NamedTuple):
    value: float

@compiled
def times(pair, number):
    return pair.value * number * {factor}
"""
CALLER = """
from caloforge.compiled import compiled
import called

@compiled
def answer(pair):
    return called.times(pair, 2.0)
"""
RUN = """
import called, caller
print(caller.answer(called.{name}(3.0)), sum(caller.answer.stats.cache_hits.values()))
"""


def _run(folder: Path, name: str, factor: float) -> list[str]:
    (folder / "called.py").write_text(CALLED.format(name=name, factor=factor))
    (folder / "caller.py").write_text(CALLER)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(name=name)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_an_update_of_a_called_function_or_type_is_followed(tmp_path: Path) -> None:
    assert _run(tmp_path, "Pair", 1.0) == ["6.0", "0"]
    assert _run(tmp_path, "Pair", 1.0) == ["6.0", "1"]
    assert _run(tmp_path, "Pair", 5.0) == ["30.0", "0"]
    assert _run(tmp_path, "Couple", 5.0) == ["30.0", "0"]
    assert _run(tmp_path, "Couple", 5.0) == ["30.0", "1"]


def test_only_stored_code_is_deleted(tmp_path: Path) -> None:
    source, stored = tmp_path / "source", tmp_path / "stored"
    source.mkdir()
    stored.mkdir()
    (source / "a.py").write_text("a = 1")
    for name in ("a.nbi", "a.1.nbc", "a.cpython-311.pyc"):
        (stored / name).write_text("")
    drop_stale(stored, source)
    assert sorted(file.name for file in stored.iterdir()) == ["a.cpython-311.pyc", STAMP]


def test_no_folder_to_write_means_compiling_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    made = compiled(_twice)
    assert made(2.0) == 4.0


def _twice(number: float) -> float:
    return 2.0 * number
