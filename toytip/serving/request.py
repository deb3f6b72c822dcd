"""Limits, parsing and validation of scoring requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toytip.core.columns import Columns
from toytip.core.dataset.declarations import Field
from toytip.core.model import TrainedModel
from toytip.core.text import plural
from toytip.core.time_pairs import USUAL_HOURS, find_contradiction
from toytip.datasets.registry import detect_kind
from toytip.datasets.words import KINDS, describe_kinds
from toytip.models import trip_columns
from toytip.models.selection import select_model
from toytip.models.trip_columns import NamedTrips
from toytip.serving.json_text import (
    VALUES_PER_COLUMN,
    WRITE_TRIPS,
    describe_keys,
    has_columns,
    parse_json,
    unwrap_trips,
)
from toytip.serving.values import InvalidValuesError, is_zoned_time, read_values

GZIP_MAGIC = b"\x1f\x8b"
EXPECTED_BODY = "Send one trip as a JSON object, or several trips as a list of objects"


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
    """Name of the field in the request, or empty if the error is not of one field."""
    message: str
    """Cause of the error."""


def parse_body(content: bytes, max_trips: int, encoding: str = "identity") -> dict[str, Any] | list[Any]:
    """Return the trip (an object) or the trips (a list) of a request.

    `encoding` is the header `Content-Encoding`. Raises RequestError if the body is not JSON, has no
    trips, or has too many trips.
    """
    if content.startswith(GZIP_MAGIC) or encoding.strip().lower() not in ("", "identity"):
        raise RequestError(422, "cannot read the request: the body is compressed (send plain JSON)")
    try:
        body = parse_json(content, _reject_constant)
    except ValueError as error:
        raise RequestError(
            422, f"cannot read the request: the body is not JSON ({error!s:.100}). {EXPECTED_BODY}"
        ) from None
    body = unwrap_trips(body)
    if body == [] or not isinstance(body, dict | list):
        raise RequestError(
            422, f"cannot read the request: the body is not a trip or a list of trips. {EXPECTED_BODY}"
        )
    if isinstance(body, dict) and has_columns(body):
        raise RequestError(
            422,
            f"cannot read the request: the body has {VALUES_PER_COLUMN}. {EXPECTED_BODY} ({WRITE_TRIPS})",
        )
    if len(body) > max_trips and isinstance(body, list):
        raise RequestError(
            413,
            f"cannot read the request: {plural(len(body), 'trip')} exceed the limit of {max_trips:,}",
        )
    return body


def select_request_model(models: Mapping[str, TrainedModel], trips: Sequence[Any]) -> TrainedModel:
    """Return the model for the trips of a request, which must all have the same taxi type.

    Raises RequestError if the trips have several taxi types, and SchemaError if there is no model
    for the taxi type.
    """
    combinations = trip_columns.columns_of_trips(trip for trip in trips if isinstance(trip, dict))
    datasets = [model.encoding.dataset for model in models.values()]
    taxis = {taxi for names in combinations if (taxi := detect_kind(names, datasets))}
    if len(taxis) > 1:
        raise RequestError(
            422,
            f"cannot score the trips: the list has trips of {describe_kinds(sorted(taxis, key=_order))} "
            "(send one request per taxi type)",
        )
    return select_model(models, [name for names in combinations for name in names])


def _order(taxi: str) -> tuple[int, str]:
    return KINDS.index(taxi) if taxi in KINDS else len(KINDS), taxi


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number: send null for a missing value")


@dataclass(frozen=True)
class ParsedTrips:
    """The trips of a request as columns of `trips`, or the errors of their fields."""

    columns: Columns
    errors: list[FieldError]


def parse_trips(model: TrainedModel, trips: Sequence[Any]) -> ParsedTrips:
    """Convert trips to columns, and return the invalid fields and the missing columns in order."""
    objects = [trip if isinstance(trip, dict) else {} for trip in trips]
    named = NamedTrips.of(objects, model.encoding.dataset)
    errors = [*_not_objects(trips), *_missing_columns(model, trips)]
    required = trip_columns.required_fields(model)
    columns: dict[str, npt.NDArray[Any]] = {}
    invalid: list[FieldError] = []
    for field in named.fields:
        try:
            values = columns[field.name] = read_values(named.values(field), field)
            missing = np.flatnonzero(values != values).tolist()  # noqa: PLR0124 - NaN and NaT
        except InvalidValuesError as error:
            invalid += _field_errors(named, field, error.problems)
            missing = error.missing
        if field.name in required and missing:
            problems = ((row, "is null, and the model needs a value") for row in missing)
            errors += _field_errors(named, field, problems)
    if not errors and not invalid:
        errors = list(_contradicting_times(named))
    return ParsedTrips(columns, sorted([*errors, *invalid], key=lambda error: error.trip))


def _not_objects(trips: Sequence[Any]) -> Iterator[FieldError]:
    for row, trip in enumerate(trips):
        if not isinstance(trip, dict):
            yield FieldError(trip=row, field="", message="a trip must be an object")


def _missing_columns(model: TrainedModel, trips: Sequence[Any]) -> Iterator[FieldError]:
    """Yield the fields that the model needs, and that a trip does not have exactly once."""
    combinations = trip_columns.columns_of_trips(trip for trip in trips if isinstance(trip, dict))
    problems = {keys: list(_problems_of_columns(model, keys)) for keys in combinations}
    if not any(problems.values()):
        return
    for row, trip in enumerate(trips):
        for name, message in problems[tuple(trip)] if isinstance(trip, dict) else ():
            yield FieldError(trip=row, field=name, message=message)


def _problems_of_columns(model: TrainedModel, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if keys and not model.encoding.dataset.field_names.match(keys):
        yield "", f"{describe_keys(keys)}. {EXPECTED_BODY} ({WRITE_TRIPS})"
        return
    for name in trip_columns.missing_columns(model, keys):
        yield name, "is missing, and the model needs it"
    for names in model.encoding.dataset.field_names.find_repeated(keys).values():
        yield names[1], f"is the same field as {names[0]}"


def _contradicting_times(named: NamedTrips) -> Iterator[FieldError]:
    """Yield an error for each trip if pickups and dropoffs contradict each other."""
    fields = {field.name: field for field in named.fields if field.name in ("pickup_at", "dropoff_at")}
    values = {name: named.values(field) for name, field in fields.items()}
    if len(fields) < 2 or not any(map(is_zoned_time, chain(*values.values()))):
        return
    raw = pa.table({name: pa.array(texts, pa.string()) for name, texts in values.items()})
    problem = find_contradiction(raw, "pickup_at", "dropoff_at")
    if problem is not None:
        names = (named.column_name(row, fields[problem.other_column]) for row in range(len(named.trips)))
        messages = (
            f"contradicts {name}: with its UTC offset, the trip ends before it starts, or takes more than "
            f"{USUAL_HOURS} hours"
            for name in names
        )
        yield from _field_errors(named, fields[problem.column], enumerate(messages))


def _field_errors(
    named: NamedTrips, field: Field, problems: Iterable[tuple[int, str]]
) -> Iterator[FieldError]:
    """Yield the problems of a field in the trips that have the field."""
    for row, message in problems:
        if (name := named.column_name(row, field)) is not None:
            yield FieldError(trip=row, field=name, message=message)
