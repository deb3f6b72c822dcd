"""Serving: the scoring of trips over HTTP. One process, one model at a time, through the code path of the batch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import fastapi
import prometheus_client as prom
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from toytip._version import __version__
from toytip.core.model import TrainedModel
from toytip.errors import ToytipError
from toytip.models import scoring
from toytip.serving.metrics import ServerMetrics
from toytip.serving.rate_limit import RateLimiter
from toytip.serving.request import (
    RequestLimits,
    RequestRefusedError,
    openapi_extra,
    parse_body,
    validation_errors,
)

log = logging.getLogger(__name__)


@dataclass
class Server:
    """What a server holds: the model that answers, how another is found, and the counters."""

    load_model: Callable[[str | None], TrainedModel | None]
    limits: RequestLimits
    reload_interval: float
    model: TrainedModel | None = None
    metrics: ServerMetrics = field(default_factory=ServerMetrics)

    def reload(self) -> None:
        """Take the model that should answer now; the one at hand stays where there is none, or it cannot be read."""
        before = self.model.version if self.model else None
        try:
            found = self.load_model(before)
        except (ToytipError, OSError) as error:
            self.metrics.reloads.labels("failed").inc()
            if self.model is None:
                raise
            log.warning("the model stays %s: %s", before, error)
            return
        if found is not None and found.version != before:
            self.model = found
            about = {"version": found.version, "taxi": found.taxi, "threshold": repr(found.threshold)}
            self.metrics.model.info(about)
            if before is not None:
                self.metrics.reloads.labels("done").inc()
                log.warning("model %s answers now, no longer %s", found.version, before)

    async def reload_periodically(self) -> None:
        """Look for another model every so often."""
        while True:
            await asyncio.sleep(self.reload_interval)
            await run_in_threadpool(self.reload)


def make_app(
    load_model: Callable[[str | None], TrainedModel | None],
    limits: RequestLimits | None = None,
    reload_interval: float = 10.0,
) -> fastapi.FastAPI:
    """Return the application. `load_model` gives the model that should answer, or None where it is still the one of that version.

    Raises what `load_model` raises where there is no model at the start.
    """
    server = Server(load_model, limits or RequestLimits(), reload_interval)
    server.reload()
    buckets = RateLimiter(server.limits.max_requests_per_second)

    @contextlib.asynccontextmanager
    async def lifespan(_app: fastapi.FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(server.reload_periodically())
        yield
        watching.cancel()

    app = fastapi.FastAPI(
        title="toytip",
        version=__version__,
        summary="The probability that the passenger of a taxi trip leaves a high tip.",
        lifespan=lifespan,
    )

    @app.middleware("http")
    async def count(request: fastapi.Request, answer: Any) -> Any:
        told = await answer(request)
        server.metrics.requests.labels(str(told.status_code)).inc()
        return told

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that trips can be scored, and by which model."""
        assert server.model is not None, "there was one at the start"
        return {"status": "ok", "model_version": server.model.version}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Tell the counters, for Prometheus."""
        return prom.generate_latest(server.metrics.registry).decode()

    @app.post("/score", openapi_extra=openapi_extra(), response_model=None)
    async def score(request: fastapi.Request, reasons: int = 5) -> Any:
        """Score one trip (an object) or many (a list): probability, decision, and what moved it most, in log-odds."""
        client = request.client.host if request.client else ""
        if wait := buckets.seconds_to_wait(client, time.monotonic()):
            told = {"detail": f"too many requests; wait {wait:.1f} s"}
            return JSONResponse(told, 429, {"Retry-After": str(math.ceil(wait))})
        with server.metrics.request_seconds.time():
            return await _score_request(server, request, min(max(reasons, 0), server.limits.max_explanations))

    return app


async def _score_request(server: Server, request: fastapi.Request, shap_top: int) -> JSONResponse:
    model = server.model
    assert model is not None, "there was one at the start"
    try:
        given = parse_body(await _read_body(request, server.limits.max_bytes))
        trips = given if isinstance(given, list) else [given]
        if len(trips) > server.limits.max_trips:
            return _error_response(
                413, f"{len(trips)} trips are more than {server.limits.max_trips}; send fewer at a time"
            )
        faults = [fault for row, trip in enumerate(trips) for fault in validation_errors(model, trip, row)]
        if faults:
            return JSONResponse({"detail": faults[:100]}, 422)
        told = await run_in_threadpool(_score_trips, model, trips, shap_top)
    except RequestRefusedError as error:
        return _error_response(*error.args)
    except ToytipError as error:
        return _error_response(422, str(error))
    return _score_response(server, model, given, told)


def _score_response(
    server: Server, model: TrainedModel, body: Any, answers: list[dict[str, Any]]
) -> JSONResponse:
    for answer in answers:
        server.metrics.trips.labels("rejected" if "error" in answer else "scored").inc()
    about = {"model_version": model.version, "threshold": model.threshold}
    if isinstance(body, list):
        return JSONResponse({**about, "trips": answers})
    return JSONResponse({**about, **answers[0]}, 422 if "error" in answers[0] else 200)


def _error_response(status: int, message: str) -> JSONResponse:
    return JSONResponse({"detail": message}, status)


async def _read_body(request: fastapi.Request, max_bytes: int) -> bytes:
    """Read the body, no further than it may go."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise RequestRefusedError(
                413, f"the request is larger than {max_bytes:,} bytes; send fewer trips at a time"
            )
    return content


def _score_trips(model: TrainedModel, trips: list[dict[str, Any]], shap_top: int) -> list[dict[str, Any]]:
    scored = scoring.score_trips(model, scoring.trips_to_table(trips), shap_top)
    told: list[dict[str, Any]] = []
    for row, rejected in enumerate(scored.rejected):
        if rejected is not None:
            told.append({"error": f"no trip to score: {rejected}", "rejected": rejected})
            continue
        # A float32 goes through JSON as the double of the same value, and comes back to the last bit.
        answer: dict[str, Any] = {
            "probability": float(scored.probability[row]),
            "prediction": bool(scored.prediction[row]),
        }
        told.append({**answer, "reasons": scored.explanations[row]} if shap_top else answer)
    return told
