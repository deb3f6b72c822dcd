"""Serving: the scoring of trips over HTTP. One process, one model at a time, through the code path of the batch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import fastapi
import prometheus_client as prom
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NaiveDatetime,
    ValidationError,
    create_model,
)
from starlette.concurrency import run_in_threadpool

from toytip import __version__, scoring
from toytip.errors import ToytipError
from toytip.schema import FIELDS
from toytip.values import TrainedModel

log = logging.getLogger(__name__)

# So many clients are told apart by the rate limit; the one that was quiet longest is forgotten first.
MAX_TRACKED_CLIENTS = 10_000
EXAMPLE_TRIP = {
    "tpep_pickup_datetime": "2023-12-01T08:15:00",
    "tpep_dropoff_datetime": "2023-12-01T08:34:00",
    "VendorID": 2, "passenger_count": 1, "trip_distance": 2.4, "PULocationID": 74, "DOLocationID": 75,
    "RatecodeID": 1, "payment_type": 1, "fare_amount": 14.2, "extra": 0.5, "mta_tax": 0.5, "tolls_amount": 0.0,
    "improvement_surcharge": 1.0, "congestion_surcharge": 2.75,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What one request and one client may ask for; a rate of 0 is no limit."""

    max_trips: int = 1_000
    max_bytes: int = 1_000_000
    max_requests_per_second: float = 0.0
    max_explanations: int = 20


@dataclass
class RateLimiter:
    """A token bucket for each client: `requests_per_second` requests a second, with a burst of two seconds' worth."""

    requests_per_second: float
    buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def seconds_to_wait(self, client: str, now: float) -> float:
        """Return the seconds that a client must wait; 0 lets the request through, and counts it."""
        if self.requests_per_second <= 0:
            return 0.0
        full = max(2 * self.requests_per_second, 1.0)
        tokens, at = self.buckets.pop(client, (full, now))
        tokens = min(full, tokens + (now - at) * self.requests_per_second)
        through = tokens >= 1
        self.buckets[client] = (tokens - through, now)
        while len(self.buckets) > MAX_TRACKED_CLIENTS:
            self.buckets.popitem(last=False)
        return 0.0 if through else (1 - tokens) / self.requests_per_second


class ServerMetrics:
    """The figures of one server, for Prometheus."""

    def __init__(self) -> None:
        self.registry = prom.CollectorRegistry()
        self.requests = prom.Counter(
            "toytip_requests", "Requests, by status.", ["status"], registry=self.registry
        )
        self.trips = prom.Counter(
            "toytip_trips", "Trips, by what became of them.", ["outcome"], registry=self.registry
        )
        self.request_seconds = prom.Histogram(
            "toytip_score_seconds", "Seconds a scoring request took.", registry=self.registry
        )
        self.reloads = prom.Counter(
            "toytip_reloads", "Reloads of the model, by outcome.", ["outcome"], registry=self.registry
        )
        self.model = prom.Info("toytip_model", "The model that answers.", registry=self.registry)


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

    @app.post("/score", openapi_extra=_openapi_extra(), response_model=None)
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
        given = _parse_trips(await _read_body(request, server.limits.max_bytes))
        trips = given if isinstance(given, list) else [given]
        if len(trips) > server.limits.max_trips:
            return _error_response(
                413, f"{len(trips)} trips are more than {server.limits.max_trips}; send fewer at a time"
            )
        faults = [fault for row, trip in enumerate(trips) for fault in _validation_errors(model, trip, row)]
        if faults:
            return JSONResponse({"detail": faults[:100]}, 422)
        told = await run_in_threadpool(_score_trips, model, trips, shap_top)
    except _RejectedRequestError as error:
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


class _RejectedRequestError(Exception):
    """A request that is refused: a status, and what is wrong."""


def _error_response(status: int, message: str) -> JSONResponse:
    return JSONResponse({"detail": message}, status)


async def _read_body(request: fastapi.Request, max_bytes: int) -> bytes:
    """Read the body, no further than it may go."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise _RejectedRequestError(
                413, f"the request is larger than {max_bytes:,} bytes; send fewer trips at a time"
            )
    return content


def _parse_trips(content: bytes) -> dict[str, Any] | list[dict[str, Any]]:
    try:
        given = json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise _RejectedRequestError(422, f"the body is no JSON: {error!s:.100}") from None
    if isinstance(given, dict) and set(given) == {"trips"}:
        given = given["trips"]
    if given == [] or not isinstance(given, dict | list):
        raise _RejectedRequestError(422, "send a trip, as an object, or a list of them")
    return given


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _validation_errors(model: TrainedModel, trip: Any, row: int) -> list[dict[str, Any]]:
    """Return what is wrong with a trip, field by field."""
    if not isinstance(trip, dict):
        return [{"trip": row, "field": "", "message": "a trip is an object"}]
    names = list(trip)
    found = {f.name: name for f in FIELDS if (name := f.match(names)) is not None}
    faults = [
        {"trip": row, "field": name, "message": "is missing, and the model needs it"}
        for name in scoring.required_fields(model)
        if trip.get(found.get(name, "")) is None
    ]
    try:
        TripModel.model_validate({name: trip[given] for name, given in found.items()})
    except ValidationError as error:
        faults += [
            {"trip": row, "field": found[str(e["loc"][0])], "message": e["msg"]} for e in error.errors()
        ]
    return faults


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


def _require_text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("is a time of New York, as text: 2023-12-01T08:15:00")
    return value


def _build_trip_model() -> type[BaseModel]:
    kinds: dict[str, Any] = {
        "time": Annotated[NaiveDatetime, BeforeValidator(_require_text)],
        "code": Annotated[int, Field(ge=-(2**31), lt=2**31)],
        "amount": Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)],
    }
    fields: dict[str, Any] = {f.name: (kinds[f.kind] | None, None) for f in FIELDS}
    return create_model("Trip", __config__=ConfigDict(extra="allow"), **fields)


TripModel = _build_trip_model()


def _openapi_extra() -> dict[str, Any]:
    trip = {
        **TripModel.model_json_schema(),
        "description": "A trip, under the TLC's names.",
        "example": EXAMPLE_TRIP,
    }
    one_or_many = {"oneOf": [trip, {"type": "array", "items": trip}]}
    content = {"application/json": {"schema": one_or_many, "example": EXAMPLE_TRIP}}
    return {"requestBody": {"required": True, "content": content}}
