"""A real browser: headless Chromium, controlled through its protocol (CDP) over a websocket.

with open_browser() as browser:
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
# Chromium writes its port to this file.
PORT_FILE = "DevToolsActivePort"
TIMEOUT_S = 60
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
# Errors are exceptions of scripts, errors that the page logs, and those that the browser reports,
# for example of a blocked request.
ERROR_EVENTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


class Page:
    """An open page, with its requests and errors."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: Any) -> None:
        self._loop, self._socket, self._number = loop, socket, 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol. Returns its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, params), TIMEOUT_S))

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        number = self._number
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(await self._next())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._record_event(message)

    async def _next(self) -> str:
        message = await self._socket.read_message()
        if message is None:
            raise RuntimeError("the browser has exited")
        return str(message)

    def _record_event(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method in ERROR_EVENTS:
            entry = params.get("entry") or params.get("exceptionDetails") or params
            if entry.get("level", entry.get("type", "error")) in ("error", "warning", "assert"):
                thrown = entry.get("exception", {}).get("description", "")
                self.errors.append(thrown or json.dumps(entry)[:500])

    def goto(self, url: str) -> None:
        """Open an address, and wait until it has loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + TIMEOUT_S
        while "Page.loadEventFired" not in self._events:
            if time.monotonic() > deadline:
                raise TimeoutError(url)
            self.evaluate("0")
            time.sleep(0.02)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression, or of its promise. Raises RuntimeError."""
        response = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in response:
            raise RuntimeError(json.dumps(response["exceptionDetails"])[:500])
        return response["result"].get("value")

    def wait_for(self, script: str, seconds: float = TIMEOUT_S) -> Any:
        """Wait until an expression is true. Returns its value. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            if time.monotonic() > deadline:
                raise TimeoutError(script)
            time.sleep(0.1)
        return value

    def set_display(
        self, *, width: int = 1200, height: int = 900, dark: bool = False, media: str = ""
    ) -> None:
        """Set the window's size, the color scheme, and the medium (`print`)."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def screenshot(self, file: Path, clip: dict[str, float] | None = None) -> None:
        """Save the page, or a part of it (`x`, `y`, `width`, `height`), as a PNG."""
        options = {"clip": {**clip, "scale": 1}, "captureBeyondViewport": True} if clip else {}
        response = self.call("Page.captureScreenshot", format="png", **options)
        file.write_bytes(base64.b64decode(response["data"]))

    def pdf(self) -> bytes:
        """Return the printed page."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])


class Browser:
    """A running browser with one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, url: str, *, offline: bool = False, **display: Any) -> Page:
        """Open an address, with options of `Page.set_display`, or without a network (`offline`)."""
        page = self.page
        page.errors.clear()
        page.requests.clear()
        page.set_display(**display)
        page.call(
            "Network.emulateNetworkConditions",
            offline=offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )
        page.goto(url)
        return page


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a browser with an empty profile, which is deleted when the context ends."""
    assert CHROMIUM, "chromium is not installed: run `make test-browser`"
    folder = tempfile.mkdtemp(prefix="toytip-browser-")
    process = subprocess.Popen(
        [CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/dev/null"},
    )
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
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, StopIteration):
            port = int((folder / PORT_FILE).read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as response:
                pages = json.load(response)
            return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
        time.sleep(0.1)
    raise TimeoutError("chromium did not start")


async def _connect(address: str) -> Any:
    from tornado.websocket import websocket_connect

    return await websocket_connect(address, max_message_size=2**28)
