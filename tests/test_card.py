"""A model's card: everything is from what the commands wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caloforge.card import model_card
from caloforge.cli.entry import run
from caloforge.errors import FormatError, ModelError
from caloforge.shipped import model_path
from caloforge.validate import validate
from helpers import lcd_showers

SHIPPED = "lcd-ecal-25-electron"


def test_the_card_of_a_shipped_model() -> None:
    card = model_card(model_path(SHIPPED))
    assert (card["name"], card["kind"], card["parameters"]) == (SHIPPED, "layered", 628_552)
    assert card["particles"] == [11]
    assert [one["name"] for one in card["conditions"]] == ["energy", "x", "y"]
    assert card["conditions"][0]["unit"] == "MeV"
    assert card["conditions"][0]["trained"] == pytest.approx([10e3, 100e3], rel=2e-3)
    assert card["detector"]["cells"] == card["output"]["cells"] == 25**3
    assert card["data"]["generator"].startswith("Geant4")
    assert len(card["weights_sha256"]) == 64
    assert card["figures"] is None
    assert json.loads(json.dumps(card)) == card


def test_with_the_figures_of_a_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = validate(lcd_showers(60, seed=1), lcd_showers(60, seed=2), tmp_path / "r", quick=True)
    assert done.path is not None
    file = str(done.path / "metrics.json")
    assert run(["info", SHIPPED, "--card", "--metrics", file]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    written = json.loads(Path(file).read_text())
    assert figures["separation"] == written["separation"]
    assert figures["floor"]["separation"] == written["floor"]["separation"]
    (tmp_path / "no.json").write_text("[]")
    with pytest.raises(FormatError, match=r"no\.json: not a metrics\.json"):
        model_card(model_path(SHIPPED), tmp_path / "no.json")


def test_what_is_no_model_has_no_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(tmp_path), "--card"]) == 2
    assert "--card and --metrics are of models" in capsys.readouterr().err
    with pytest.raises(ModelError):
        model_card(tmp_path)
