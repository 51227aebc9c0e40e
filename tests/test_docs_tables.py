"""The tables of docs/results.md are what their scripts write from the numbers beside them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from helpers import ROOT

DOCS = ROOT / "docs"


def rows(script: str, files: list[Path], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines that the script prints, every file under its own name."""
    run = runpy.run_path(str(DOCS / script))["main"]
    run([f"{file.stem}={file}" for file in files])
    return [line for line in capsys.readouterr().out.splitlines() if line]


@pytest.mark.parametrize(("script", "folder"), [("models_table.py", "zoo")])
def test_results_are_the_numbers_on_disk(
    script: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((DOCS / "results" / folder).glob("*.json"))
    told = (DOCS / "results.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows(script, files, capsys) if row not in told] == []
