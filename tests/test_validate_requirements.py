"""Figures by name, thresholds on them, several samples in one report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from caloforge.cli.entry import app
from caloforge.errors import ConfigError
from caloforge.showers import Showers
from caloforge.store import write_showers
from caloforge.validate import Report, validate
from caloforge.validate.lookup import Figure, figure, names
from caloforge.validate.report import figures
from caloforge.validate.report.tables import latex
from caloforge.validate.report.verdict import text
from caloforge.validate.requirements import requirement
from helpers import lcd_showers

METRICS: dict[str, Any] = {
    "schema": 1,
    "separation": {"hits": 0.02, "depth": None},
    "auc": {"low": {"mean": 0.55, "std": 0.01, "showers": 100, "seeds": 5}},
    "fpd": {"value": 0.3, "error": 0.1},
    "correlation_difference": 0.04,
    "errors": {"separation": {"hits": 0.004}, "correlation_difference": 0.002},
    "floor": {"separation": {"hits": 0.015, "depth": 0.01}, "auc": {"low": {"mean": 0.5}}},
    "notes": {"separation.depth": "every reference shower is empty"},
}


def scaled(showers: Showers, factor: float) -> Showers:
    return Showers(
        showers.calorimeter,
        showers.incident,
        showers.offset,
        showers.cell,
        showers.energy * factor,
        showers.provenance,
    )


def test_a_figure_is_found_with_its_uncertainty() -> None:
    assert figure(METRICS, "auc.low") == Figure(0.55, 0.01)
    assert figure(METRICS, "fpd") == Figure(0.3, 0.1)
    assert figure(METRICS, "separation.hits") == Figure(0.02, 0.004)
    assert figure(METRICS, "separation.depth") == Figure(None, None)
    assert figure(METRICS, "correlation_difference") == Figure(0.04, 0.002)
    assert "schema" not in names(METRICS)
    assert {"auc.low", "auc.low.std", "fpd", "separation.hits"} <= set(names(METRICS))


@pytest.mark.parametrize("name", ["auc", "auc.lo", "separation", "notes", "floor", "x", "schema"])
def test_an_unknown_figure_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"no figure '{name}'; choose from .*auc.low"):
        figure({"auc": METRICS["auc"], "schema": 1, "notes": {}}, name)


@pytest.mark.parametrize(
    ("rule", "met", "limit"),
    [
        ("auc.low<0.6", True, 0.6),
        ("auc.low < 0.55", False, 0.55),
        ("auc.low<=0.55", True, 0.55),
        ("auc.low>=.56", False, 0.56),
        ("auc.low>-1", True, -1.0),
        ("fpd<3e-1", False, 0.3),
        ("separation.hits<2*floor", True, 0.03),
        ("separation.hits<1.1 * floor", False, 0.0165),
        ("separation.hits>floor", True, 0.015),
        ("separation.depth<1", False, 1.0),
        ("separation.depth>-1", False, -1.0),
        ("separation.depth<2*floor", False, 0.02),
    ],
)
def test_requirements(rule: str, met: bool, limit: float) -> None:
    judged = requirement(rule).judge(METRICS)
    assert judged["met"] is met
    assert judged["limit"] == pytest.approx(limit)
    assert judged["value"] == figure(METRICS, rule.split("<")[0].split(">")[0].strip()).value


def test_without_a_floor_nothing_is_below_it() -> None:
    judged = requirement("auc.low<2*floor").judge(METRICS | {"floor": None})
    assert judged == {"text": "auc.low<2*floor", "value": 0.55, "limit": None, "met": False}


WRONG = (
    "|auc.low|auc.low<|auc.low=0.5|auc.low<<1|<0.6|auc.low<two|auc.low<2*|auc.low<2floor|"
    "auc.low<*floor|auc.low<1.2.3|auc low<1|auc.low<0.6 or so"
)


@pytest.mark.parametrize("rule", WRONG.split("|"))
def test_other_words_are_refused(rule: str) -> None:
    with pytest.raises(ConfigError, match=r"write a figure, a sign and a number, as 'auc\.low<0"):
        requirement(rule)


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12))
def test_a_figure_is_printed_to_the_digits_of_its_error(value: float, error: float) -> None:
    shown = text(Figure(value, error))
    power = float(re.search(r"e(-?\d+)$", shown).group(1)) if ")e" in shown else 0.0  # type: ignore[union-attr]
    numbers = [float(each) for each in re.findall(r"[\d.]+(?=[ )]|$)", shown.split("e")[0])][:2]
    assert numbers[0] * 10**power == pytest.approx(value, abs=0.06 * error)
    assert numbers[1] * 10**power == pytest.approx(error, rel=0.06)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A good and a bad sample in one report."""
    folder = tmp_path_factory.mktemp("several")
    reference = lcd_showers(60, seed=1)
    samples = [lcd_showers(60, seed=2), scaled(lcd_showers(60, seed=3), 1.5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "SUFFIXES", (".png",))
        return validate(
            reference,
            samples,
            folder / "out",
            name=["good_100%", "bad"],
            require=["response_error.mean<0.2"],
            quick=True,
        )


def test_several_samples_are_judged_against_one_floor(several: Report) -> None:
    good, bad = several.comparisons
    assert several.metrics.keys() == {"schema", "comparisons"}
    assert [good["name"], bad["name"]] == ["good_100%", "bad"]
    assert good["floor"] == bad["floor"]
    assert good["reference"] == bad["reference"]
    assert bad["response_error"]["mean"] == pytest.approx(0.5, abs=0.1)
    assert not several.passed
    assert [line.split(":")[0] for line in several.missed] == ["bad"]
    assert several.path is not None
    assert json.loads((several.path / "metrics.json").read_text()) == several.metrics


def test_the_page_shows_them_side_by_side(several: Report) -> None:
    assert several.path is not None
    page = (several.path / "index.html").read_text()
    assert "1 of 2 requirements met" in page
    assert "Average shower: good_100%" in page
    assert "Average shower: bad" in page
    drawn = {path.stem for path in (several.path / "figures").glob("*.png")}
    assert {"etot", "images-1", "images-2", "events-2", "overview"} <= drawn
    assert "images" not in drawn


def test_one_sample_alone_gets_the_same_figures(several: Report) -> None:
    reference = lcd_showers(60, seed=1)
    alone = validate(reference, lcd_showers(60, seed=2), name="good_100%", quick=True).metrics
    known = several.comparisons[0]
    assert {k: v for k, v in alone.items() if k not in ("requirements",)} == {
        k: v for k, v in known.items() if k not in ("requirements",)
    }


def test_the_table_is_latex(several: Report, tmp_path: Path) -> None:
    assert several.path is not None
    table = (several.path / "metrics.tex").read_text()
    assert r"good\_100\%" in table
    rows = [line for line in table.splitlines() if line.endswith(r"\\") and "multi" not in line]
    assert len(rows) > 20
    assert {line.count("&") for line in rows} == {3}
    assert latex(r"a_b\c<{5}%") == r"a\_b\textbackslash{}c$<$\{5\}\%"
    program = shutil.which("pdflatex")
    if program:
        (tmp_path / "t.tex").write_text(
            "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
            f"{table}\\end{{document}}\n"
        )
        subprocess.run(
            [program, "-interaction=batchmode", "t.tex"],
            cwd=tmp_path,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def test_names_are_told_apart(tmp_path: Path) -> None:
    reference, sample = lcd_showers(8, seed=1), lcd_showers(8, seed=2)
    twice = validate(reference, [sample, sample], quick=True)
    assert [each["name"] for each in twice.comparisons] == ["generated", "generated (2)"]
    with pytest.raises(ConfigError, match="1 names for 2 generated samples; give one for each"):
        validate(reference, [sample, sample], name="a")
    with pytest.raises(ConfigError, match="no generated sample; give at least one"):
        validate(reference, [])


def test_the_command_fails_when_a_requirement_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TOGETHER", ())
    monkeypatch.setattr(figures, "APART", ())
    reference = write_showers(tmp_path / "ref.h5", lcd_showers(12, seed=1))
    sample = write_showers(tmp_path / "gen.h5", scaled(lcd_showers(12, seed=2), 2.0))
    base = ["validate", str(reference), str(sample), "--quick", "-o", str(tmp_path / "out")]
    runner = CliRunner()
    missed = runner.invoke(app, [*base, "--require", "response_error.mean<0.1"])
    assert missed.exit_code == 1
    assert "gen: response_error.mean<0.1 is missed: 1.0" in missed.output
    assert (tmp_path / "out" / "index.html").exists(), "the report is there all the same"
    met = runner.invoke(app, [*base, "--require", "response_error.mean>0.1"])
    assert met.exit_code == 0
    early = runner.invoke(app, [*base, "--require", "nonsense"])
    assert early.exit_code != 0
    assert np.isclose(
        json.loads((tmp_path / "out" / "metrics.json").read_text())["requirements"][0]["limit"], 0.1
    )
