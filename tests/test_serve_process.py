"""``caloforge serve`` as a process: it answers, ends politely, and its page works in a browser."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from browser import CHROMIUM, browser
from caloforge.cli.entry import run
from helpers import SAMPLES

SHIPPED = "lcd-ecal-25-electron"


@contextmanager
def service(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and its address."""
    command = [sys.executable, "-m", "caloforge", "serve", SHIPPED, "--port", "0", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://[\d.]+:\d+", line)
            assert found, line + process.stderr.read()
            yield process, found.group()
        finally:
            process.kill()


def test_open_requests_are_finished_at_the_end() -> None:
    with service() as (process, address):
        httpx.get(f"{address}/v2/health/ready", timeout=60).raise_for_status()
        found: list[httpx.Response] = []

        def ask() -> None:
            found.append(httpx.get(f"{address}/showers?energy=50&n=3000&seed=1", timeout=120))

        asking = threading.Thread(target=ask)
        asking.start()
        while b"caloforge_waiting_showers 0.0" in httpx.get(f"{address}/metrics").content:
            assert asking.is_alive()
        process.send_signal(signal.SIGTERM)
        asking.join()
        process.wait(60)
    assert found[0].status_code == 200
    assert found[0].content.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")
    assert process.returncode in (0, -signal.SIGTERM)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/v2/health/live")


def reference(folder: Path) -> str:
    """Geant4's showers as a store."""
    path = str(folder / "geant4.h5")
    assert run(["convert", str(SAMPLES / "electrons_test.h5"), "-q", "-o", path]) == 0
    return path


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_page_draws_both_showers(tmp_path: Path) -> None:
    with (
        service("--reference", reference(tmp_path)) as (_, address),
        browser(tmp_path / "profile") as page,
    ):
        size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        page.call("Page.navigate", url=address)
        page.wait_for("document.querySelectorAll('.plot canvas').length >= 2")
        page.wait_for("document.getElementById('geant4-text').textContent.includes('MeV')")
        before = page.evaluate("document.getElementById('generated-text').textContent")
        assert before.startswith("50.0 GeV at 90 degrees")
        page.evaluate(
            "(s => {s.value = 80; s.dispatchEvent(new Event('input')); "
            "s.dispatchEvent(new Event('change'))})(document.getElementById('energy'))"
        )
        page.wait_for("document.getElementById('generated-text').textContent.startsWith('80.0')")
        assert page.evaluate("document.getElementById('error').textContent") == ""
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        scales = page.evaluate(
            "[...document.querySelectorAll('.plot')].map(p => [p.data[0].marker.cmin, "
            "p.data[0].marker.cmax, p.layout.scene.xaxis.range])"
        )
        assert len(scales) == 2
        assert scales[0] == scales[1]  # the same colours and the same box
        page.screenshot(tmp_path / "page.png")
        foreign = [text for text in page.complaints() if not text.startswith(address)]
        assert not foreign
    with Image.open(tmp_path / "page.png") as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 500


def test_answers_are_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def look(_: object, sockets: list[socket.socket]) -> None:
        asked.extend(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets)

    monkeypatch.setattr("uvicorn.Server.run", look)
    assert run(["serve", SHIPPED, "--port", "0"]) == 0
    assert asked
    assert all(asked)


def test_mistakes_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", SHIPPED, "--port", port]) == 2
    assert "cannot listen there" in capsys.readouterr().err
    assert run(["serve", SHIPPED, "--batch", "0"]) == 2
    assert "--batch 0" in capsys.readouterr().err
    assert run(["serve", str(tmp_path / "none")]) == 1
    assert "no such model" in capsys.readouterr().err
    other = str(tmp_path / "angle.h5")
    assert run(["convert", str(SAMPLES / "electrons_angle.h5"), "-q", "-o", other]) == 0
    assert run(["serve", SHIPPED, "--reference", other]) == 2
    assert "geometry" in capsys.readouterr().err.lower()
