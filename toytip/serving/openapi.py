"""The OpenAPI schema of the server: the trips that it accepts, and its responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fastapi
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from toytip.core.dataset.declarations import Field
from toytip.core.model import TrainedModel
from toytip.core.number_values import MAX_AMOUNT, MAX_CODE, MISSING_TEXTS
from toytip.core.text import join_words
from toytip.core.time_values import zone_place
from toytip.datasets.words import describe_kind
from toytip.models import trip_columns
from toytip.serving.answers import TripAnswer
from toytip.serving.pages import StartPage, example_trip
from toytip.serving.request import FieldError, RequestLimits
from toytip.serving.values import list_texts

Schema = dict[str, Any]

_TEXT = {"type": "string"}
_MESSAGE = {"type": "object", "required": ["detail"], "properties": {"detail": _TEXT}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_MODEL = _object(model_version=_TEXT, threshold={"type": "number"})
_SCORED_TRIP = {"allOf": [_MODEL, _ref("TripAnswer")]}
_SCORED_TRIPS = {"allOf": [_MODEL, _object(trips={"type": "array", "items": _ref("TripAnswer")})]}
_FIELD_ERRORS = _object(detail={"type": "array", "items": _ref("FieldError")})
SCORE_RESPONSES: dict[int | str, Schema] = {
    200: _json(
        "The score of the trip, or the scores of the trips in order.",
        {"anyOf": [_SCORED_TRIPS, _SCORED_TRIP]},
    ),
    413: _json("The request has too many trips or bytes.", _MESSAGE),
    422: _json(
        "The request is not valid, a field is not valid, or the only trip cannot be scored.",
        {"anyOf": [_SCORED_TRIP, _FIELD_ERRORS, _MESSAGE]},
    ),
    429: _json("The client sends too many requests.", _MESSAGE)
    | {"headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}},
    503: _json("The server stops before it answers the request.", _MESSAGE),
}
JSON_RESPONSES: dict[str, dict[int | str, Schema]] = {
    "/": {200: _json("The models and the endpoints of the server.", _ref("StartPage"))},
    "/healthz": {
        200: _json(
            "The status of the server.",
            _object(status={"const": "ok"}, models={"type": "object", "additionalProperties": _TEXT}),
        )
    },
}


def describe_api(app: fastapi.FastAPI, models: Mapping[str, TrainedModel], limits: RequestLimits) -> Schema:
    """Return the OpenAPI schema of a server with these models and limits."""
    schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    _, definitions = TypeAdapter.json_schemas(
        [(kind, "serialization", TypeAdapter(kind)) for kind in (TripAnswer, FieldError, StartPage)],
        ref_template="#/components/schemas/{model}",
    )
    definitions["$defs"]["TripAnswer"]["required"] = ["probability", "prediction"]
    trips = {f"{model.taxi.capitalize()}Trip": _trip(model) for model in models.values()}
    schema["components"] = {"schemas": {**definitions["$defs"], **trips}}
    example = example_trip(next(iter(models.values())))
    body = {"schema": _body(list(trips), limits.max_trips), "example": example}
    schema["paths"]["/score"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/json": body},
    }
    return schema


def _body(trips: list[str], max_trips: int) -> Schema:
    """Return the schema of a body: a trip, or a list of trips of the same taxi type."""
    bodies = []
    for name in trips:
        items = {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": max_trips}
        wrapped = {**_object(trips=items), "additionalProperties": False}
        bodies += [_ref(name), items, wrapped]
    return {"anyOf": bodies}


def _trip(model: TrainedModel) -> Schema:
    """Return the schema of a trip that a model scores, if no cleaning rule rejects the trip."""
    required, dataset = trip_columns.required_fields(model), model.encoding.dataset
    properties = {
        dataset.layout.source_column(field.name, model.taxi): _value(
            field, is_nullable=field.name not in required
        )
        for field in dataset.fields
        if not field.taxis or model.taxi in field.taxis
    }
    return {
        "type": "object",
        "description": f"A trip of {describe_kind(model.taxi)}. The server ignores additional fields. Upper case, "
        "spaces and underscores in names do not matter.",
        "required": list(trip_columns.required_columns(model)),
        "properties": properties,
    }


def _value(field: Field, *, is_nullable: bool) -> Schema:
    """Return the schema of a value. A number can also be text, as in a CSV file."""
    missing = {"type": "null"}, {"type": "string", "pattern": _missing_pattern()}
    values = [_time(field)] if field.kind == "time" else _KINDS[field.kind]
    missing_values = missing if is_nullable else ()
    if not field.texts:
        return {"anyOf": [*values, *missing_values]}
    texts = {"enum": [text for text, _ in field.texts]}
    description = f"{join_words(list_texts(field), 'or')}, in upper or lower case, or a number."
    return {"anyOf": [*values, texts, *missing_values], "description": description}


def _time(field: Field) -> Schema:
    return {
        "type": "string",
        "format": "date-time",
        "description": f"{zone_place(field.time_zone)} time, or a time with a UTC offset.",
    }


def _missing_pattern() -> str:
    """Return the pattern of texts that are missing values, in upper or lower case."""
    letters = (
        "".join(f"[{c.upper()}{c}]" if c.isalpha() else "\\" * (c in "\\.") + c for c in text)
        for text in MISSING_TEXTS
    )
    return rf"^ *({'|'.join(letters)}) *$"


_KINDS: dict[str, list[Schema]] = {
    "code": [
        {"type": "integer", "minimum": -MAX_CODE, "maximum": MAX_CODE},
        {"type": "string", "pattern": r"^ *[+-]?\d{1,7} *$"},
    ],
    "amount": [
        {"type": "number", "minimum": -MAX_AMOUNT, "maximum": MAX_AMOUNT},
        {"type": "string", "pattern": r"^ *[+-]?\d{1,11}(\.\d*)? *$"},
    ],
}
