"""The scoring server: one process with one model per taxi type, and the stages of the pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fastapi
import prometheus_client as prom
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from toytip._version import __version__
from toytip.core.columns import Columns
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.errors import ToytipError
from toytip.models import scoring, trip_columns
from toytip.serving.answers import TripAnswer
from toytip.serving.metrics import ServerMetrics
from toytip.serving.openapi import JSON_RESPONSES, SCORE_RESPONSES, describe_api
from toytip.serving.pages import docs_page, start_page
from toytip.serving.rate_limit import RateLimiter
from toytip.serving.request import (
    RequestError,
    RequestLimits,
    parse_body,
    parse_trips,
    select_request_model,
)
from toytip.serving.request_log import CLIENT_CLOSED_REQUEST, TRIP_COUNT_KEY, RequestLog, WriteLine

log = logging.getLogger(__name__)

DEFAULT_EXPLANATIONS = 5
MAX_REPORTED_ERRORS = 100
# About ten trips, without explanations, need less time than a change to another thread and back.
MAX_BYTES_WITHOUT_THREAD = 5_000

# Takes the current models by taxi type. Returns the models that should answer requests.
ModelLoader = Callable[[Mapping[str, TrainedModel]], Mapping[str, TrainedModel]]


def make_app(server: Server) -> fastapi.FastAPI:
    """Return the application of a server, which must have loaded its models."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: fastapi.FastAPI) -> AsyncIterator[None]:
        reloading = asyncio.create_task(server.reload_periodically())
        yield
        reloading.cancel()

    app = fastapi.FastAPI(
        title="toytip",
        version=__version__,
        summary="Predicts the probability that the label of a trip is positive.",
        lifespan=lifespan,
        exception_handlers={RequestValidationError: _answer_invalid_query},
        # The pages of FastAPI load scripts from another server.
        docs_url=None,
        redoc_url=None,
    )
    _add_pages(app, server)
    _add_status_routes(app, server)
    _add_score_route(app, server)
    # Another model can need different columns, so the schema is not cached.
    app.openapi = lambda: describe_api(app, server.models, server.limits)  # type: ignore[method-assign]
    return app


async def _answer_invalid_query(_request: fastapi.Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    name = error.errors()[0]["loc"][-1]
    return _error_response(422, f"cannot read the request: {name} must be a whole number")


@dataclass
class Server:
    """The state of a server: the current models, the loader of the next models, and the metrics.

    The server calls `load_models` every `reload_interval` seconds.
    """

    load_models: ModelLoader
    limits: RequestLimits = field(default_factory=RequestLimits)
    reload_interval: float = 10.0
    models: Mapping[str, TrainedModel] = field(default_factory=dict)
    metrics: ServerMetrics = field(default_factory=ServerMetrics)
    write_access_log: WriteLine | None = None

    def reload(self) -> None:
        """Load the models that should answer requests. After a failure, keep the current models.

        Raises the error of `load_models` if there are no current models.
        """
        current = self.models
        try:
            self.models = self.load_models(current)
        except (ToytipError, OSError) as error:
            self.metrics.reloads.labels("failed").inc()
            if not current:
                raise
            log.warning("cannot reload the models: %s. The server keeps %s", error, _versions(current))
            return
        if _versions(self.models) == _versions(current):
            return
        self.metrics.show_models(self.models.values())
        if current:
            self.metrics.reloads.labels("done").inc()
            log.warning("%s replaced %s", _versions(self.models), _versions(current))

    async def reload_periodically(self) -> None:
        """Reload the models every `reload_interval` seconds, whatever happens."""
        while True:
            await asyncio.sleep(self.reload_interval)
            try:
                await run_in_threadpool(self.reload)
            except Exception:
                self.metrics.reloads.labels("failed").inc()
                log.exception("cannot reload the models. The server keeps %s", _versions(self.models))


def _add_pages(app: fastapi.FastAPI, server: Server) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", responses=JSON_RESPONSES["/"], response_model=None)
    async def start() -> dict[str, Any]:
        """Return the models of the server with their required columns, and the endpoints."""
        page: dict[str, Any] = to_json(start_page(server.models))
        return page

    @app.head("/docs", response_class=HTMLResponse, include_in_schema=False)
    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: fastapi.Request) -> str:
        """Return a page that documents the server."""
        return docs_page(server.models, str(request.base_url))


def _add_status_routes(app: fastapi.FastAPI, server: Server) -> None:
    app.add_middleware(RequestLog, metrics=server.metrics, write=server.write_access_log)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", responses=JSON_RESPONSES["/healthz"], response_model=None)
    async def healthz() -> dict[str, Any]:
        """Return the status of the server, and the versions of the current models by taxi type."""
        return {"status": "ok", "models": {taxi: model.version for taxi, model in server.models.items()}}

    @app.head("/metrics", response_class=PlainTextResponse, include_in_schema=False)
    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Return the metrics of the server in the format of Prometheus."""
        return prom.generate_latest(server.metrics.registry).decode()


def _add_score_route(app: fastapi.FastAPI, server: Server) -> None:
    limiter = RateLimiter(server.limits.max_requests_per_second)

    @app.post("/score", responses=SCORE_RESPONSES, response_model=None)
    async def score(request: fastapi.Request, shap_top: int = DEFAULT_EXPLANATIONS) -> Any:
        """Score one trip (an object) or several trips (a list of objects).

        The answer for a trip has the probability, the prediction, and the `shap_top` largest
        explanations.
        """
        client = request.client.host if request.client else ""
        if seconds := limiter.seconds_to_wait(client, time.monotonic()):
            message = f"cannot answer the request: too many requests (wait {seconds:.1f} s)"
            return _error_response(429, message, {"Retry-After": str(math.ceil(seconds))})
        with server.metrics.request_seconds.time():
            count = min(max(shap_top, 0), server.limits.max_explanations)
            return await _score_request(server, request, count)


def _versions(models: Mapping[str, TrainedModel]) -> str:
    """Return the versions of models as text for a log line."""
    return " and ".join(f"model {model.version} ({taxi})" for taxi, model in sorted(models.items()))


async def _score_request(server: Server, request: fastapi.Request, shap_top: int) -> JSONResponse:
    try:
        content = await _read_body(request, server.limits.max_bytes)
        if shap_top or len(content) > MAX_BYTES_WITHOUT_THREAD:
            return await run_in_threadpool(_answer_request, server, request, content, shap_top)
        return _answer_request(server, request, content, shap_top)
    except ClientDisconnect:  # nobody reads the response, but the metrics and the log have its status
        return _error_response(CLIENT_CLOSED_REQUEST, "the client hung up")
    except asyncio.CancelledError:  # the server stops, and does not wait longer
        return _error_response(503, "cannot answer the request: the server is stopping")
    except RequestError as error:
        return _error_response(error.status, str(error))
    except ToytipError as error:
        return _error_response(422, str(error))


def _answer_request(server: Server, request: fastapi.Request, content: bytes, shap_top: int) -> JSONResponse:
    """Return the response to a request. Raises RequestError or ToytipError."""
    body = parse_body(content, server.limits.max_trips, request.headers.get("content-encoding", ""))
    trips = body if isinstance(body, list) else [body]
    request.scope[TRIP_COUNT_KEY] = len(trips)
    model = select_request_model(server.models, trips)
    parsed = parse_trips(model, trips)
    if parsed.errors:
        return AsciiJsonResponse({"detail": to_json(parsed.errors[:MAX_REPORTED_ERRORS])}, 422)
    trip_columns.require_values(model, parsed.columns)
    answers = _answer_trips(model, parsed.columns, shap_top)
    for outcome, count in Counter(answer.reason or "scored" for answer in answers).items():
        server.metrics.trips.labels(outcome).inc(count)
    return _score_response(model, answers, is_list=isinstance(body, list))


async def _read_body(request: fastapi.Request, max_bytes: int) -> bytes:
    """Return the body of a request. Raises RequestError if the body exceeds the limit."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise RequestError(413, f"cannot read the request: it is larger than {max_bytes:,} bytes")
    return content


def _answer_trips(model: TrainedModel, trips: Columns, shap_top: int) -> list[TripAnswer]:
    scored = scoring.score_columns(model, trips, shap_top)
    # Converting a float32 to a double does not change its value.
    rows = zip(
        scored.probability.tolist(),
        scored.prediction.tolist(),
        scored.reason,
        scored.explanations,
        strict=True,
    )
    return [
        TripAnswer(
            probability=probability,
            prediction=prediction,
            explanations=explanations if shap_top else None,
        )
        if reason is None
        else TripAnswer(
            error=f"cannot score the trip: {scoring.describe_reason(reason, model)}", reason=reason
        )
        for probability, prediction, reason, explanations in rows
    ]


class AsciiJsonResponse(JSONResponse):
    """A JSON response in ASCII, because keys of a request can have characters that UTF-8 lacks."""

    def render(self, content: Any) -> bytes:
        """Return the content as JSON."""
        return dump_json(content, separators=(",", ":")).encode()


def _score_response(model: TrainedModel, answers: list[TripAnswer], *, is_list: bool) -> JSONResponse:
    content = {"model_version": model.version, "threshold": model.threshold}
    if is_list:
        return AsciiJsonResponse({**content, "trips": [answer.to_json() for answer in answers]})
    (answer,) = answers
    return AsciiJsonResponse({**content, **answer.to_json()}, 200 if answer.error is None else 422)


def _error_response(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return AsciiJsonResponse({"detail": message}, status, headers)
