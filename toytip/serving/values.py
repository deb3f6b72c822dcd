"""Read the values of JSON trips, by the rules for columns of files (`stages.conform`).

A request often has a single trip, for which Arrow columns would take most of the time. The rules
differ in one point: a time must be text, because a request does not show the unit of a number.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from toytip.core.dataset.declarations import Field
from toytip.core.dataset.table_columns import field_column
from toytip.core.number_values import MAX_AMOUNT, MAX_CODE, MISSING_TEXTS, NUMBER_PATTERN
from toytip.core.text import join_words
from toytip.core.time_values import AMERICAN_TIME_PATTERN, NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN, zone_place

_IS_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII).match
_IS_NAIVE_TIME = re.compile(NAIVE_TIME_PATTERN, re.ASCII).match
_IS_ZONED_TIME = re.compile(ZONED_TIME_PATTERN, re.ASCII).match
_IS_AMERICAN_TIME = re.compile(AMERICAN_TIME_PATTERN, re.ASCII).match
# More values are checked as an array, which takes longer for a few values.
_FEW_VALUES = 32
# A message lists at most this many texts of a field.
MAX_LISTED_TEXTS = 10
_REQUIREMENTS = {
    "time": "a time as text, in {city} or with a UTC offset, for example 2023-12-01T08:15:00",
    "code": f"a whole number of at most {MAX_CODE:,}",
    "amount": f"a number of at most {MAX_AMOUNT:,.0f}",
}


class _Unreadable(Exception):  # noqa: N818 - it is caught in this module
    """A value that is not of the kind of its field."""


class InvalidValuesError(Exception):
    """Values that cannot be read: the position of each, and the requirement that it breaks.

    `missing` has the positions of the missing values among the other values.
    """

    def __init__(self, problems: list[tuple[int, str]], missing: list[int]) -> None:
        super().__init__("invalid values")
        self.problems = problems
        self.missing = missing


def read_values(values: list[Any], field: Field) -> npt.NDArray[Any]:
    """Return values as a column of `trips`. Raises InvalidValuesError."""
    dtype = field_column(field).dtype
    if field.texts:
        codes = dict(field.texts)
        values = [
            codes.get(value.strip().upper(), value) if isinstance(value, str) else value for value in values
        ]
    if field.kind != "time" and len(values) > _FEW_VALUES:
        numbers = _plain_numbers(values, field)
        if numbers is not None:
            return numbers.astype(dtype)
    read = partial(_read_time, zone=field.time_zone) if field.kind == "time" else _READERS[field.kind]
    converted, problems = [], []
    for position, value in enumerate(values):
        try:
            converted.append(read(value))
        except (_Unreadable, ValueError):
            problems.append((position, _requirement_of(field)))
            converted.append(0)  # not missing
    if problems:
        raise InvalidValuesError(problems, [row for row, value in enumerate(converted) if _is_missing(value)])
    return np.array(converted, dtype)


def _requirement_of(field: Field) -> str:
    value = _REQUIREMENTS[field.kind].format(city=zone_place(field.time_zone))
    return f"must be {join_words([*list_texts(field), value], 'or')}"


def list_texts(field: Field) -> list[str]:
    """Return the texts that a field accepts for codes, for a message. A long list is shortened."""
    texts = [repr(text) for text, _ in field.texts]
    if len(texts) <= MAX_LISTED_TEXTS:
        return texts
    return [*texts[:MAX_LISTED_TEXTS], f"another of the {len(texts):,} texts"]


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN is not itself


def _plain_numbers(values: list[Any], field: Field) -> npt.NDArray[np.float64] | None:
    """Return numbers that are all valid, or None for any other values."""
    if not set(map(type, values)) <= {int, float, type(None)}:
        return None
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        return None
    valid = np.abs(numbers) <= MAX_AMOUNT
    if field.kind == "code":
        valid = (np.abs(numbers) <= MAX_CODE) & (np.trunc(numbers) == numbers)
    return numbers if bool((valid | np.isnan(numbers)).all()) else None


def _read_amount(value: Any) -> float:
    kind = type(value)  # a value of JSON is not of a subclass
    if kind is not float and kind is not int:
        value = _number_in_text(value)
    if -MAX_AMOUNT <= value <= MAX_AMOUNT or value != value:  # noqa: PLR0124 - NaN is not itself
        return value  # type: ignore[no-any-return]
    raise _Unreadable


def _read_code(value: Any) -> float:
    kind = type(value)
    if kind is not float and kind is not int:
        value = _number_in_text(value)
    if (-MAX_CODE <= value <= MAX_CODE and value == int(value)) or value != value:  # noqa: PLR0124
        return value  # type: ignore[no-any-return]
    raise _Unreadable


def _number_in_text(value: Any) -> float:
    """Return the number in a text, or NaN for a missing value."""
    if value is None:
        return np.nan
    if not isinstance(value, str):
        raise _Unreadable
    text = value.strip()
    if text.lower() in MISSING_TEXTS:
        return np.nan
    if not _IS_NUMBER(text):
        raise _Unreadable
    return float(text)


def is_zoned_time(value: Any) -> bool:
    """Return whether a value is a time with a UTC offset, as text."""
    return isinstance(value, str) and _IS_ZONED_TIME(value.strip()) is not None


def _read_time(value: Any, zone: str) -> dt.datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Unreadable
    text = value.strip()
    if _IS_NAIVE_TIME(text):
        return dt.datetime.fromisoformat(_with_two_digits(text))
    if _IS_ZONED_TIME(text):
        text = _with_two_digits(text)
        text = re.sub(r" ?(UTC|z)$", "Z", text).replace(" +", "+").replace(" -", "-")
        instant = dt.datetime.fromisoformat(text)
        try:
            return instant.astimezone(_zone_info(zone)).replace(tzinfo=None)
        except OverflowError:
            raise _Unreadable from None
    if _IS_AMERICAN_TIME(text):
        text = re.sub(r" ?([AaPp][Mm])$", r" \1", text)
        return dt.datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p")  # noqa: DTZ007 - a local time
    if text.lower() in MISSING_TEXTS:
        return None
    raise _Unreadable


def _with_two_digits(text: str) -> str:
    """Return a time in ISO 8601 with two digits of the hour, not one as in 2023-01-31 8:15."""
    return text if text[12].isdigit() else f"{text[:11]}0{text[11:]}"


@functools.cache
def _zone_info(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except ZoneInfoNotFoundError:
        raise ValueError(zone) from None


_READERS: dict[str, Callable[[Any], Any]] = {
    "code": _read_code,
    "amount": _read_amount,
}
