"""Convert columns of raw trips with the rule of the batch, and find the value that has no place.

`stages.conform` decides which values are times, codes and amounts. This module only builds Arrow
arrays for it, and names the trip of a value that it rejects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.tlc import FIELDS_BY_NAME, Field, match_fields
from toytip.errors import SchemaError
from toytip.stages import conform

# Returns the name of a trip for messages, given its position, such as `line 7 of trips.csv`.
TripLabel = Callable[[int], str]

KIND_DESCRIPTIONS = {
    "time": "a local New York time, such as 2023-12-01T08:15:00",
    "code": "a whole number",
    "amount": "a number",
}
# Errors of Arrow for values that have no Arrow type, or not the same one.
ARROW_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)
# The types that have a missing value which is not equal to itself.
_UNEQUAL_TYPES = (float, np.floating, Decimal, np.datetime64, type(pd.NaT))
_MAX_SHOWN_CHARS = 60


def convert_columns(raw: pa.Table, label: TripLabel) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `trips` that raw trips have.

    Raises SchemaError if a value cannot be converted. The message has the column, the value and the
    label of the trip.
    """
    try:
        return conform.conform_columns(raw, "the trips")
    except SchemaError as error:
        raise _locate(raw, label) or error from None


def values_to_arrow(values: Sequence[Any], name: str, label: TripLabel) -> pa.Array:
    """Return plain values of a column as an Arrow array. NaN, NaT and NA become null.

    Values of different types are converted type by type, because Arrow would refuse them, or would
    drop the time zone of some. Raises SchemaError for a value that cannot be converted.
    """
    values = [None if is_missing(value) else value for value in values]
    if len({_type_key(value) for value in values} - {_type_key(None)}) <= 1:
        try:
            return pa.array(values, from_pandas=True)
        except ARROW_ERRORS:
            pass
    return pa.array(_convert_mixed(values, name, label), from_pandas=True)


def convert_values(values: Sequence[Any], name: str, field: Field) -> npt.NDArray[Any]:
    """Return plain values of a column with the type in `trips`. Raises SchemaError."""
    table = pa.table({name: values_to_arrow(values, name, "trip {}".format)})
    return conform.conform_columns(table, "the trips")[field.name]


def invalid_value(label: str, name: str, value: Any) -> SchemaError:
    """Return the error for a value that cannot be converted."""
    (field,) = match_fields([name])
    kind = KIND_DESCRIPTIONS[FIELDS_BY_NAME[field].kind]
    return SchemaError(f"cannot read {label}: {name} {show_value(value)} is not {kind}")


def show_value(value: Any) -> str:
    """Return a value as text for a message."""
    try:
        text = repr(value).partition("\n")[0]
    except Exception:  # noqa: BLE001 - the value can be an object of any class
        text = f"of type {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or NA."""
    if value is None or value is pd.NA:
        return True
    return isinstance(value, _UNEQUAL_TYPES) and bool(value != value)  # noqa: PLR0124 - true for NaN


def _type_key(value: Any) -> tuple[type, bool]:
    return type(value), isinstance(value, dt.datetime) and value.tzinfo is not None


def _convert_mixed(values: list[Any], name: str, label: TripLabel) -> npt.NDArray[Any]:
    (field,) = (FIELDS_BY_NAME[field] for field in match_fields([name]))
    rows_by_type: dict[tuple[type, bool], list[int]] = {}
    for row, value in enumerate(values):
        if value is not None:
            rows_by_type.setdefault(_type_key(value), []).append(row)
    converted = conform.missing_values(field, len(values))
    for rows in rows_by_type.values():
        try:
            array = pa.array([values[row] for row in rows])
        except ARROW_ERRORS:
            row = next(row for row in rows if not _has_arrow_type(values[row]))
            raise invalid_value(label(row), name, values[row]) from None
        converted[rows] = _convert_some(array, name, rows, label)[field.name]
    return converted


def _convert_some(
    array: pa.Array, name: str, rows: list[int], label: TripLabel
) -> dict[str, npt.NDArray[Any]]:
    return convert_columns(pa.table({name: array}), lambda index: label(rows[index]))


def _has_arrow_type(value: Any) -> bool:
    try:
        pa.array([value])
    except ARROW_ERRORS:
        return False
    return True


def _locate(raw: pa.Table, label: TripLabel) -> SchemaError | None:
    """Return the error for the first value that cannot be converted, or None if there is none."""
    for name in match_fields(raw.column_names).values():
        column = raw.select([name])
        row = _first_failure(column)
        if row is not None:
            return invalid_value(label(row), name, column.column(0)[row].as_py())
    return None


def _first_failure(column: pa.Table) -> int | None:
    """Return the first row of a table with one column that cannot be converted, or None.

    The search halves the table. The last check is necessary because a type can be wrong in every
    row, or only together with other rows.
    """
    start, stop = 0, len(column)
    if not stop or _converts(column):
        return None
    while stop - start > 1:
        middle = (start + stop) // 2
        if _converts(column.slice(start, middle - start)):
            start = middle
        else:
            stop = middle
    return None if _converts(column.slice(start, 1)) else start


def _converts(column: pa.Table) -> bool:
    try:
        conform.conform_columns(column, "")
    except SchemaError:
        return False
    return True
