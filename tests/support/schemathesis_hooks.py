"""Hooks of Schemathesis, which loads this module in a process of its own."""

import datetime as dt

import jsonschema
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
TIMES = st.datetimes(
    dt.datetime(1, 1, 3),  # noqa: DTZ001
    dt.datetime(9999, 12, 28),  # noqa: DTZ001
    timezones=st.none() | OFFSETS,
)
schemathesis.openapi.format(
    "date-time", st.builds(dt.datetime.isoformat, TIMES, sep=st.sampled_from(["T", " "]))
)


@schemathesis.check
def only_rules_reject_valid_trips(_ctx, response, case):
    """A trip that the schema describes has a score, or the reason why it has none."""
    is_valid = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if is_valid and response.status_code == 422:
        assert "reason" in response.json(), response.text


@schemathesis.hook
def filter_failure(_context, failure, case, _response):
    """Drop the report of an accepted invalid body if the body is valid.

    Schemathesis makes a value invalid for one branch of `anyOf`. Another branch can allow it.
    """
    return not (isinstance(failure, AcceptedNegativeData) and _only_a_valid_body_is_negated(case))


def _only_a_valid_body_is_negated(case):
    modes = case.meta.components
    negated = {location for location, component in modes.items() if component.mode == GenerationMode.NEGATIVE}
    if negated != {ParameterLocation.BODY}:
        return False
    document = case.operation.schema.raw_schema
    operation = document["paths"][case.operation.path][case.method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    schema = {**schema, "components": document["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS).is_valid(case.body)


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value):
    """The time zone is optional, unlike in RFC 3339."""
    return not isinstance(value, str) or bool(dt.datetime.fromisoformat(value))
