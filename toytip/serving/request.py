"""Scoring requests: limits, parsing, validation, OpenAPI."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NaiveDatetime,
    ValidationError,
    create_model,
)

from toytip.core.model import TrainedModel
from toytip.core.tlc import FIELDS
from toytip.models import scoring

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


class RequestRefusedError(Exception):
    """A request that is refused: a status, and what is wrong."""


def parse_body(content: bytes) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the trips of a request. Raises RequestRefusedError."""
    try:
        given = json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(422, f"the body is no JSON: {error!s:.100}") from None
    if isinstance(given, dict) and set(given) == {"trips"}:
        given = given["trips"]
    if given == [] or not isinstance(given, dict | list):
        raise RequestRefusedError(422, "send a trip, as an object, or a list of them")
    return given


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def validation_errors(model: TrainedModel, trip: Any, row: int) -> list[dict[str, Any]]:
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


def openapi_extra() -> dict[str, Any]:
    """Return the OpenAPI description of the request body."""
    trip = {
        **TripModel.model_json_schema(),
        "description": "A trip, under the TLC's names.",
        "example": EXAMPLE_TRIP,
    }
    one_or_many = {"oneOf": [trip, {"type": "array", "items": trip}]}
    content = {"application/json": {"schema": one_or_many, "example": EXAMPLE_TRIP}}
    return {"requestBody": {"required": True, "content": content}}
