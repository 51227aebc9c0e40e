"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
)


class Page:
    """The one tab of a browser: commands out, events in."""

    def __init__(self, socket: Any, loop: Any) -> None:
        self._socket, self._loop, self._number = socket, loop, 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run a command and wait for its answer; events meanwhile are kept."""
        self._number += 1
        text = json.dumps({"id": self._number, "method": method, "params": parameters})
        self._loop.run_sync(lambda: self._socket.write_message(text))
        while True:
            message = json.loads(self._loop.run_sync(self._socket.read_message, timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60.0) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.1)

    def open(self, path: Path, width: int, height: int = 900, mobile: bool = False) -> None:
        """Show a file in a window of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("document.readyState === 'complete' && location.protocol === 'file:'")

    def drag(self, selector: str, dx: int, dy: int) -> None:
        """Drag with the left button from the middle of an element."""
        self.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.evaluate(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        moves = [("mouseMoved", k / 8) for k in range(1, 9)]
        for kind, share in [("mousePressed", 0.0), *moves, ("mouseReleased", 1.0)]:
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0] + share * dx,
                y=box[1] + share * dy,
                button="left",
                buttons=0 if kind == "mouseReleased" else 1,
                clickCount=1,
            )

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Exceptions, console errors, and requests for anything but files and data."""
        found = []
        for event in self.events:
            what, about = event.get("method"), event.get("params", {})
            if what == "Runtime.exceptionThrown":
                found.append(str(about["exceptionDetails"]))
            elif what == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
                found.append(str(about["args"]))
            elif what == "Log.entryAdded" and about["entry"]["level"] == "error":
                found.append(str(about["entry"]))
            elif what == "Network.requestWillBeSent":
                url = about["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:")):
                    found.append(url)
        return found


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A fresh browser with its profile in ``folder``; it reaches this machine alone."""
    from tornado.ioloop import IOLoop
    from tornado.websocket import websocket_connect

    assert CHROMIUM is not None
    process = subprocess.Popen(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    loop = IOLoop(make_current=False)
    try:
        address = _address(folder)
        socket = loop.run_sync(lambda: websocket_connect(address, max_message_size=1 << 28))
        page = Page(socket, loop)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        yield page
        socket.close()
    finally:
        process.kill()
        process.wait()
        loop.close()


def _address(folder: Path) -> str:
    """Where the first tab listens."""
    from urllib.request import urlopen

    end = time.monotonic() + 60
    port = folder / "DevToolsActivePort"
    while time.monotonic() < end:
        if port.exists() and port.read_text().strip():
            number = port.read_text().splitlines()[0]
            with urlopen(f"http://127.0.0.1:{number}/json/list") as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.1)
    raise AssertionError("the browser did not start")
