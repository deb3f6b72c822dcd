"""Limits, parsing, validation and OpenAPI schema of scoring requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from toytip.core.tlc import FIELDS, detect_taxi
from toytip.models import scoring
from toytip.models.selection import select_model


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Limits of a request, and of the request rate of a client (0: no limit)."""

    max_trips: int = 1_000
    max_bytes: int = 1_000_000
    max_requests_per_second: float = 0.0
    max_explanations: int = 20


class RequestError(Exception):
    """A request that the server rejects, with the HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """An invalid field of a trip."""

    trip: int
    """Index of the trip in the request, from 0."""
    field: str
    """Name of the field in the request, or empty if the trip is not an object."""
    message: str
    """Cause of the error."""


def parse_body(content: bytes, max_trips: int) -> dict[str, Any] | list[Any]:
    """Return the trip (an object) or the trips (a list) of a request.

    Raises RequestError if the body is not JSON, has no trips, or has too many trips.
    """
    try:
        body = json.loads(content, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(422, f"cannot read the request: the body is not JSON ({error!s:.100})") from None
    if isinstance(body, dict) and set(body) == {"trips"}:
        body = body["trips"]
    if body == [] or not isinstance(body, dict | list):
        raise RequestError(
            422, "cannot read the request: the body is not a trip (an object) or a list of trips"
        )
    if len(body) > max_trips and isinstance(body, list):
        raise RequestError(413, f"cannot read the request: {len(body)} trips exceed the limit of {max_trips}")
    return body


def select_request_model(models: Mapping[str, TrainedModel], trips: Sequence[Any]) -> TrainedModel:
    """Return the model for the trips of a request, which must all have the same taxi type.

    Raises RequestError if the trips have several taxi types, and SchemaError if there is no model
    for the taxi type.
    """
    columns = [list(trip) for trip in trips if isinstance(trip, dict)]
    taxis = {detect_taxi(names) for names in columns} - {None}
    if len(taxis) > 1:
        raise RequestError(
            422,
            "cannot score the trips: the list has trips of yellow and green taxis "
            "(send one request per taxi type)",
        )
    return select_model(models, [name for names in columns for name in names])


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def validation_errors(model: TrainedModel, trip: Any, row: int) -> list[FieldError]:
    """Return the invalid fields of a trip, and the missing fields that the model needs."""
    if not isinstance(trip, dict):
        return [FieldError(trip=row, field="", message="a trip must be an object")]
    names = {field.name: name for field in FIELDS if (name := field.match(list(trip))) is not None}
    errors = [
        FieldError(trip=row, field=column, message="is missing, and the model needs it")
        for column in scoring.missing_columns(model, trip)
    ]
    errors += [
        FieldError(trip=row, field=names[name], message="is null, and the model needs a value")
        for name in scoring.required_fields(model)
        if name in names and trip[names[name]] is None
    ]
    try:
        TripModel.model_validate({field: trip[name] for field, name in names.items()})
    except ValidationError as error:
        errors += [
            FieldError(trip=row, field=names[str(problem["loc"][0])], message=problem["msg"])
            for problem in error.errors()
        ]
    return errors


def _require_text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError(
            "must be a local New York time as text, without a UTC offset, for example 2023-12-01T08:15:00"
        )
    return value


def _build_trip_model() -> type[BaseModel]:
    types: dict[str, Any] = {
        "time": Annotated[NaiveDatetime, BeforeValidator(_require_text)],
        "code": Annotated[int, Field(ge=-(2**31), lt=2**31)],
        "amount": Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)],
    }
    fields: dict[str, Any] = {field.name: (types[field.kind] | None, None) for field in FIELDS}
    return create_model("Trip", __config__=ConfigDict(extra="allow"), **fields)


TripModel = _build_trip_model()


def openapi_extra(example: dict[str, object]) -> dict[str, Any]:
    """Return the OpenAPI schema of the request body, with an example of a trip."""
    trip = {
        **TripModel.model_json_schema(),
        "description": "A trip with the TLC's column names.",
        "example": example,
    }
    one_or_more = {"oneOf": [trip, {"type": "array", "items": trip}]}
    content = {"application/json": {"schema": one_or_more, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
