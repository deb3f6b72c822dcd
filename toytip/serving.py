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
from toytip.values import Model

log = logging.getLogger(__name__)

# So many clients are told apart by the rate limit; the one that was quiet longest is forgotten first.
MOST_CLIENTS = 10_000
EXAMPLE = {
    "tpep_pickup_datetime": "2023-12-01T08:15:00",
    "tpep_dropoff_datetime": "2023-12-01T08:34:00",
    "VendorID": 2, "passenger_count": 1, "trip_distance": 2.4, "PULocationID": 74, "DOLocationID": 75,
    "RatecodeID": 1, "payment_type": 1, "fare_amount": 14.2, "extra": 0.5, "mta_tax": 0.5, "tolls_amount": 0.0,
    "improvement_surcharge": 1.0, "congestion_surcharge": 2.75,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request and one client may ask for; a rate of 0 is no limit."""

    trips: int = 1_000
    bytes: int = 1_000_000
    rate: float = 0.0
    reasons: int = 20


@dataclass
class Buckets:
    """A token bucket for each client: `rate` requests a second, with a burst of two seconds' worth."""

    rate: float
    left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, client: str, now: float) -> float:
        """Return the seconds that a client must wait; 0 lets the request through, and counts it."""
        if self.rate <= 0:
            return 0.0
        full = max(2 * self.rate, 1.0)
        tokens, at = self.left.pop(client, (full, now))
        tokens = min(full, tokens + (now - at) * self.rate)
        through = tokens >= 1
        self.left[client] = (tokens - through, now)
        while len(self.left) > MOST_CLIENTS:
            self.left.popitem(last=False)
        return 0.0 if through else (1 - tokens) / self.rate


class Counters:
    """The figures of one server, for Prometheus."""

    def __init__(self) -> None:
        self.registry = prom.CollectorRegistry()
        self.requests = prom.Counter(
            "toytip_requests", "Requests, by status.", ["status"], registry=self.registry
        )
        self.trips = prom.Counter(
            "toytip_trips", "Trips, by what became of them.", ["outcome"], registry=self.registry
        )
        self.seconds = prom.Histogram(
            "toytip_score_seconds", "Seconds a scoring request took.", registry=self.registry
        )
        self.reloads = prom.Counter(
            "toytip_reloads", "Reloads of the model, by outcome.", ["outcome"], registry=self.registry
        )
        self.model = prom.Info("toytip_model", "The model that answers.", registry=self.registry)


@dataclass
class Server:
    """What a server holds: the model that answers, how another is found, and the counters."""

    load: Callable[[str | None], Model | None]
    limits: Limits
    reload_s: float
    model: Model | None = None
    counters: Counters = field(default_factory=Counters)

    def reload(self) -> None:
        """Take the model that should answer now; the one at hand stays where there is none, or it cannot be read."""
        before = self.model.version if self.model else None
        try:
            found = self.load(before)
        except (ToytipError, OSError) as error:
            self.counters.reloads.labels("failed").inc()
            if self.model is None:
                raise
            log.warning("the model stays %s: %s", before, error)
            return
        if found is not None and found.version != before:
            self.model = found
            about = {"version": found.version, "taxi": found.taxi, "threshold": repr(found.threshold)}
            self.counters.model.info(about)
            if before is not None:
                self.counters.reloads.labels("done").inc()
                log.warning("model %s answers now, no longer %s", found.version, before)

    async def watch(self) -> None:
        """Look for another model every so often."""
        while True:
            await asyncio.sleep(self.reload_s)
            await run_in_threadpool(self.reload)


def make_app(
    load: Callable[[str | None], Model | None], limits: Limits | None = None, reload_s: float = 10.0
) -> fastapi.FastAPI:
    """Return the application. `load` gives the model that should answer, or None where it is still the one of that version.

    Raises what `load` raises where there is no model at the start.
    """
    server = Server(load, limits or Limits(), reload_s)
    server.reload()
    buckets = Buckets(server.limits.rate)

    @contextlib.asynccontextmanager
    async def lifespan(_app: fastapi.FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(server.watch())
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
        server.counters.requests.labels(str(told.status_code)).inc()
        return told

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that trips can be scored, and by which model."""
        assert server.model is not None, "there was one at the start"
        return {"status": "ok", "model_version": server.model.version}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Tell the counters, for Prometheus."""
        return prom.generate_latest(server.counters.registry).decode()

    @app.post("/score", openapi_extra=_openapi(), response_model=None)
    async def score(request: fastapi.Request, reasons: int = 5) -> Any:
        """Score one trip (an object) or many (a list): probability, decision, and what moved it most, in log-odds."""
        client = request.client.host if request.client else ""
        if wait := buckets.wait(client, time.monotonic()):
            told = {"detail": f"too many requests; wait {wait:.1f} s"}
            return JSONResponse(told, 429, {"Retry-After": str(math.ceil(wait))})
        with server.counters.seconds.time():
            return await _answer(server, request, min(max(reasons, 0), server.limits.reasons))

    return app


async def _answer(server: Server, request: fastapi.Request, reasons: int) -> JSONResponse:
    model = server.model
    assert model is not None, "there was one at the start"
    try:
        given = _parse(await _body(request, server.limits.bytes))
        trips = given if isinstance(given, list) else [given]
        if len(trips) > server.limits.trips:
            return _error(
                413, f"{len(trips)} trips are more than {server.limits.trips}; send fewer at a time"
            )
        faults = [fault for row, trip in enumerate(trips) for fault in _faults(model, trip, row)]
        if faults:
            return JSONResponse({"detail": faults[:100]}, 422)
        told = await run_in_threadpool(_score, model, trips, reasons)
    except _RefusedError as error:
        return _error(*error.args)
    except ToytipError as error:
        return _error(422, str(error))
    return _told(server, model, given, told)


def _told(server: Server, model: Model, given: Any, told: list[dict[str, Any]]) -> JSONResponse:
    for answer in told:
        server.counters.trips.labels("rejected" if "error" in answer else "scored").inc()
    about = {"model_version": model.version, "threshold": model.threshold}
    if isinstance(given, list):
        return JSONResponse({**about, "trips": told})
    return JSONResponse({**about, **told[0]}, 422 if "error" in told[0] else 200)


class _RefusedError(Exception):
    """A request that is refused: a status, and what is wrong."""


def _error(status: int, what: str) -> JSONResponse:
    return JSONResponse({"detail": what}, status)


async def _body(request: fastapi.Request, most: int) -> bytes:
    """Read the body, no further than it may go."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise _RefusedError(413, f"the request is larger than {most:,} bytes; send fewer trips at a time")
    return content


def _parse(content: bytes) -> dict[str, Any] | list[dict[str, Any]]:
    try:
        given = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(422, f"the body is no JSON: {error!s:.100}") from None
    if isinstance(given, dict) and set(given) == {"trips"}:
        given = given["trips"]
    if given == [] or not isinstance(given, dict | list):
        raise _RefusedError(422, "send a trip, as an object, or a list of them")
    return given


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _faults(model: Model, trip: Any, row: int) -> list[dict[str, Any]]:
    """Return what is wrong with a trip, field by field."""
    if not isinstance(trip, dict):
        return [{"trip": row, "field": "", "message": "a trip is an object"}]
    names = list(trip)
    found = {f.name: name for f in FIELDS if (name := f.find(names)) is not None}
    faults = [
        {"trip": row, "field": name, "message": "is missing, and the model needs it"}
        for name in scoring.needed(model)
        if trip.get(found.get(name, "")) is None
    ]
    try:
        TRIP.model_validate({name: trip[given] for name, given in found.items()})
    except ValidationError as error:
        faults += [
            {"trip": row, "field": found[str(e["loc"][0])], "message": e["msg"]} for e in error.errors()
        ]
    return faults


def _score(model: Model, trips: list[dict[str, Any]], reasons: int) -> list[dict[str, Any]]:
    scored = scoring.score(model, scoring.to_table(trips), reasons)
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
        told.append({**answer, "reasons": scored.reasons[row]} if reasons else answer)
    return told


def _text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("is a time of New York, as text: 2023-12-01T08:15:00")
    return value


def _trip_model() -> type[BaseModel]:
    kinds: dict[str, Any] = {
        "time": Annotated[NaiveDatetime, BeforeValidator(_text)],
        "code": Annotated[int, Field(ge=-(2**31), lt=2**31)],
        "amount": Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)],
    }
    fields: dict[str, Any] = {f.name: (kinds[f.kind] | None, None) for f in FIELDS}
    return create_model("Trip", __config__=ConfigDict(extra="allow"), **fields)


TRIP = _trip_model()


def _openapi() -> dict[str, Any]:
    trip = {**TRIP.model_json_schema(), "description": "A trip, under the TLC's names.", "example": EXAMPLE}
    one_or_many = {"oneOf": [trip, {"type": "array", "items": trip}]}
    content = {"application/json": {"schema": one_or_many, "example": EXAMPLE}}
    return {"requestBody": {"required": True, "content": content}}
