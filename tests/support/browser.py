"""A real browser: headless Chromium, driven by its own protocol (CDP) over a websocket.

with browsing() as browser:
    page = browser.open("file:///tmp/report.html", width=390, dark=True)
    page.evaluate("document.title")
    page.errors, page.requests
    page.screenshot(Path("report.png"))
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# It says its port in a file, when it has one.
PORT_FILE = "DevToolsActivePort"
TIMEOUT_S = 60
CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip
# An error is what a script throws, what the page logs as one, and what the browser says itself, as of a blocked request.
ERROR_EVENTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


class Page:
    """A page that is open: what it asked for, what went wrong, and what can be asked of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: Any) -> None:
        self._loop, self._socket, self._number = loop, socket, 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol; return its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, params), TIMEOUT_S))

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        number = self._number
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(await self._next())
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                return told["result"]
            self._record_event(told)

    async def _next(self) -> str:
        message = await self._socket.read_message()
        if message is None:
            raise RuntimeError("the browser has gone")
        return str(message)

    def _record_event(self, told: dict[str, Any]) -> None:
        method, params = told.get("method", ""), told.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method in ERROR_EVENTS:
            entry = params.get("entry") or params.get("exceptionDetails") or params
            if entry.get("level", entry.get("type", "error")) in ("error", "warning", "assert"):
                thrown = entry.get("exception", {}).get("description", "")
                self.errors.append(thrown or json.dumps(entry)[:500])

    def goto(self, url: str) -> None:
        """Open an address; wait until it has loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        end = time.monotonic() + TIMEOUT_S
        while "Page.loadEventFired" not in self._events:
            if time.monotonic() > end:
                raise TimeoutError(url)
            self.evaluate("0")
            time.sleep(0.02)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression, awaited where it is a promise. Raises RuntimeError for what it throws."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(json.dumps(told["exceptionDetails"])[:500])
        return told["result"].get("value")

    def wait_for(self, script: str, seconds: float = TIMEOUT_S) -> Any:
        """Ask until an expression is true; return its value. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.1)
        return value

    def set_display(
        self, *, width: int = 1200, height: int = 900, dark: bool = False, media: str = ""
    ) -> None:
        """Set the window's size, the colour scheme, and the medium (`print`)."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 500,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def screenshot(self, file: Path, clip: dict[str, float] | None = None) -> None:
        """Save what is seen, or a part of the page (`x`, `y`, `width`, `height`), as a PNG."""
        more = {"clip": {**clip, "scale": 1}, "captureBeyondViewport": True} if clip else {}
        told = self.call("Page.captureScreenshot", format="png", **more)
        file.write_bytes(base64.b64decode(told["data"]))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])


class Browser:
    """A browser that runs, with one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, url: str, *, offline: bool = False, **display: Any) -> Page:
        """Open an address in a window as `Page.set_display` makes it; `offline` cuts the network."""
        page = self.page
        page.errors.clear()
        page.requests.clear()
        page.set_display(**display)
        page.call(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1,
            uploadThroughput=-1,
        )  # fmt: skip
        page.goto(url)
        return page


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a browser with an empty profile; it ends with the context, and its profile goes."""
    assert CHROMIUM, "no chromium; `make test-browser` installs it where it can"
    folder = tempfile.mkdtemp(prefix="toytip-browser-")
    process = subprocess.Popen(
        [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/dev/null"},
    )  # fmt: skip
    loop = asyncio.new_event_loop()
    try:
        page = Page(loop, loop.run_until_complete(_connect(_wait_for_debugger_url(Path(folder), process))))
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        yield Browser(page)
        page._socket.close()
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_debugger_url(folder: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, StopIteration):
            port = int((folder / PORT_FILE).read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as told:
                pages = json.load(told)
            return str(next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page"))
        time.sleep(0.1)
    raise TimeoutError("chromium did not start")


async def _connect(address: str) -> Any:
    from tornado.websocket import websocket_connect

    return await websocket_connect(address, max_message_size=2**28)
