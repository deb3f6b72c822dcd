"""A middleware that counts requests by HTTP status, and writes the access log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toytip.core.text import plural
from toytip.serving.metrics import ServerMetrics

# Key of the number of trips of a request in its scope.
TRIP_COUNT_KEY = "toytip.trips"
# Statuses of requests without a response: an error in the server, or a client that hung up.
SERVER_ERROR, CLIENT_CLOSED_REQUEST = 500, 499
MAX_PATH_LENGTH = 200

# Writes a line of the access log.
WriteLine = Callable[[str], None]


@dataclass(frozen=True)
class RequestLog:
    """Counts the responses of an application, and writes one line per request.

    Starlette's `BaseHTTPMiddleware` would run a second task for each request.
    """

    app: ASGIApp
    metrics: ServerMetrics
    write: WriteLine | None = None
    """Writes a line of the access log. None turns the access log off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, count the status of the response, and write a line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), SERVER_ERROR

        async def note_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.metrics.requests.labels(str(status)).inc()
            await send(message)

        try:
            await self.app(scope, receive, note_and_send)
        finally:
            if self.write is not None:
                self.write(describe_request(scope, status, time.perf_counter() - started))


@lru_cache(maxsize=16)
def _encode_path(path: str) -> str:
    return quote(path, errors="backslashreplace")[:MAX_PATH_LENGTH]


def describe_request(scope: Scope, status: int, seconds: float) -> str:
    """Return the line of the access log for a request. Special characters of the path are encoded.

    >>> scope = {"method": "POST", "path": "/score", "client": ("::1", 1), TRIP_COUNT_KEY: 3}
    >>> describe_request(scope, 200, 0.0014)[20:]
    '::1 POST /score 200 1.4 ms 3 trips'
    """
    path = _encode_path(scope["path"])
    client = scope["client"][0] if scope.get("client") else "-"
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {client} {scope['method']} {path} {status} {seconds * 1e3:.1f} ms"
    trips = scope.get(TRIP_COUNT_KEY)
    return line if trips is None else f"{line} {plural(trips, 'trip')}"
