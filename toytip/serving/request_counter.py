"""A middleware that counts requests by HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toytip.serving.metrics import ServerMetrics


@dataclass(frozen=True)
class RequestCounter:
    """Counts the responses of an application.

    Starlette's `BaseHTTPMiddleware` would run a second task for each request.
    """

    app: ASGIApp
    metrics: ServerMetrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count the status of the response."""

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, count_and_send)
