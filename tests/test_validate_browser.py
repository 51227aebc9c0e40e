"""The report in a real browser: offline, without errors, on a desktop and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import CHROMIUM, Page, browser
from caloforge.validate import validate
from helpers import lcd_showers

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

EYE = "[...document.querySelectorAll('.plot')].map(p => p._fullLayout.scene._scene.getCamera().eye)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two samples."""
    folder = tmp_path_factory.mktemp("report")
    samples = [lcd_showers(60, seed=seed) for seed in (1, 2, 3)]
    rules = ["auc.high<0.99", "separation.hits<1e-9"]
    done = validate(
        samples[0],
        samples[1:],
        folder / "out",
        training=lcd_showers(60, seed=4),
        name=["GAN & co", "flow </script>"],
        require=rules,
        quick=True,
    )
    assert done.path is not None
    return done.path / "index.html"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as opened:
        yield opened


def colours(path: Path) -> int:
    """How many colours a picture has."""
    with Image.open(path) as image:
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


@pytest.mark.parametrize(("width", "mobile"), [(1280, False), (390, True)])
def test_the_page_opens_offline_and_fits(
    report: Path, page: Page, tmp_path: Path, width: int, mobile: bool
) -> None:
    page.open(report, width, mobile=mobile)
    page.wait_for("document.querySelectorAll('.plot canvas').length >= 3")
    assert page.evaluate("document.title").startswith("GAN & co, flow </script>")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 100)")
    assert page.evaluate("document.body.innerText.includes('2 of 4 requirements met')")
    assert page.complaints() == []
    page.screenshot(tmp_path / "shot.png")
    assert colours(tmp_path / "shot.png") > 200


def test_the_showers_turn_together(report: Path, page: Page) -> None:
    page.open(report, 1280)
    page.wait_for("document.querySelectorAll('.plot canvas').length >= 3")
    page.wait_for(f"({EYE}).length === 3")
    before = page.evaluate(EYE)
    page.drag(".plot", 120, 40)
    page.wait_for(f"Math.abs(({EYE})[0].x - {before[0]['x']}) > 0.05")
    apart = "e => Math.max(...e.map(v => Math.hypot(v.x - e[0].x, v.y - e[0].y, v.z - e[0].z)))"
    page.wait_for(f"({apart})({EYE}) < 1e-6")
    assert abs(page.evaluate(EYE)[2]["x"] - before[2]["x"]) > 0.05
    titles = "[...document.querySelectorAll('.pane-title')].map(t => t.textContent)"
    low = page.evaluate(titles)
    page.evaluate("document.querySelector('#display-energies button').click()")
    page.wait_for(f"{titles}[0] !== {json.dumps(low[0])}")
    assert page.complaints() == []
