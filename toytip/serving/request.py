"""Limits, parsing, validation and OpenAPI schema of scoring requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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


def validation_errors(model: TrainedModel, trips: Sequence[Any]) -> list[FieldError]:
    """Return the invalid fields of trips, and the missing columns that the model needs."""
    combinations = scoring.columns_of_trips(trip for trip in trips if isinstance(trip, dict))
    missing = {columns: scoring.missing_columns(model, columns) for columns in combinations}
    names = {columns: _names_by_field(columns) for columns in combinations}
    required = scoring.required_fields(model)
    errors = []
    for row, trip in enumerate(trips):
        if not isinstance(trip, dict):
            errors.append(FieldError(trip=row, field="", message="a trip must be an object"))
            continue
        problems = [(column, "is missing, and the model needs it") for column in missing[tuple(trip)]]
        problems += _invalid_values(trip, names[tuple(trip)], required)
        errors += [FieldError(trip=row, field=name, message=message) for name, message in problems]
    return errors


def _names_by_field(columns: tuple[str, ...]) -> dict[str, str]:
    """Return the names that trips have for the fields, by field."""
    return {field.name: name for field in FIELDS if (name := field.match(columns)) is not None}


def _invalid_values(
    trip: dict[str, Any], names: dict[str, str], required: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the names of the columns with invalid values, each with a message."""
    for field in required:
        if field in names and trip[names[field]] is None:
            yield names[field], "is null, and the model needs a value"
    try:
        TripModel.model_validate({field: trip[name] for field, name in names.items()})
    except ValidationError as error:
        for problem in error.errors():
            yield names[str(problem["loc"][0])], problem["msg"]


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
