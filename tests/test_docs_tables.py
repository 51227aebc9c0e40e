"""The tables of docs/results.md are what their scripts write from the numbers beside them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from caloforge.models import Predicted
from caloforge.predict.metrics import figures
from caloforge.predict.table import Table
from helpers import ROOT

DOCS = ROOT / "docs"


def rows(script: str, files: list[Path], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines that the script prints, every file under its own name."""
    run = runpy.run_path(str(DOCS / script))["main"]
    run([f"{file.stem}={file}" for file in files])
    return [line for line in capsys.readouterr().out.splitlines() if line]


TABLES = {
    "zoo": "models_table.py",
    "calogan-lar": "models_table.py",
    "transfer": "models_table.py",
    "predictors/ecal": "predictors_table.py",
    "predictors/ecal-hcal": "predictors_table.py",
}
"""Folders of numbers, and what makes their tables."""


@pytest.mark.parametrize("folder", TABLES)
def test_results_are_the_numbers_on_disk(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((DOCS / "results" / folder).glob("*.json"))
    told = (DOCS / "results.md").read_text(encoding="utf-8").splitlines()
    assert files
    assert [row for row in rows(TABLES[folder], files, capsys) if row not in told] == []


@pytest.mark.parametrize("file", sorted((DOCS / "results" / "tuning").glob("*.json")))
def test_studies_are_the_numbers_on_disk(file: Path) -> None:
    study = json.loads(file.read_text(encoding="utf-8"))
    trials = {trial["number"]: trial for trial in study["trials"]}
    best = trials[study["best"][0]]
    values = [
        f"{trial['values'][0]:.4f} ± {trial['errors'][0]:.4f}"
        for trial in (trials[study["default"]], best)
    ]
    found = ", ".join(f"{name.split('.')[1]} {value:.3g}" for name, value in best["params"].items())
    row = f"| `{study['recipe_name']}` | {values[0]} | {values[1]} | {found} |"
    assert study["counts"]["complete"] == 30
    assert row in (DOCS / "results.md").read_text(encoding="utf-8").splitlines()


def test_tables_of_predictors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Photons and pions, three of four told right, energies 2 % off one way or the other."""
    pdg, angle = np.repeat([22, 111], 50), np.repeat([-1.0, 0.01], 50)
    energy = np.linspace(10e3, 100e3, 100)
    right = np.where(np.arange(100) % 4 == 0, 0.25, 0.75)
    photon = np.where(pdg == 22, right, 1 - right)
    told = np.column_stack([photon, 1 - photon])
    predicted = Predicted((22, 111), told, {"energy": energy * np.tile([0.98, 1.02], 50)})
    truth = {"energy": energy, "pdg": pdg, "opening_angle": angle}
    table = Table(np.zeros(100, np.int32), np.arange(100), truth, 0.02 * energy, predicted)
    file = tmp_path / "half.json"
    file.write_text(json.dumps(figures(table)), encoding="utf-8")
    lines = rows("predictors_table.py", [file], capsys)
    particles, energies, angles = (line for line in lines if line.startswith("| half"))
    head = [line for line in lines if line.startswith("| predictor")]
    assert head[0] == "| predictor | accuracy, % | AUC γ, π⁰ |"
    assert head[2] == "| predictor | 10.0 to 10.0 mrad |"
    area = 0.74 * 0.76 + (0.74 * 0.24 + 0.26 * 0.76) / 2  # 37 of 50 photons, 38 of 50 pions
    assert particles.startswith(f"| half | 75.0 ± 4.3 | {area:.3f} ± ")
    assert energies.count("2.02 ±") == 2
    assert "| sum of all cells | 0.00 ± 0.00 | 0.00 ± 0.00 |" in lines
    assert angles.startswith(f"| half | {area:.3f} ± ")
