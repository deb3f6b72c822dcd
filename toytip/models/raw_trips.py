"""Raw trips of many kinds as an Arrow table: frames, Arrow data, lists of dicts, a single trip."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toytip.core.dataset.dataset import Dataset
from toytip.datasets.registry import has_field
from toytip.errors import SchemaError
from toytip.models.trip_columns import NamedTrips, require_names
from toytip.stages import conform

EXPECTED_TYPES = "a pandas DataFrame, an Arrow table or a list of dicts"
TRIP_LABEL: conform.RowLabel = "trip {}".format
# Errors of Arrow for values that have no Arrow type, or not the same one.
ARROW_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)
# The types that have a missing value which is not equal to itself.
_UNEQUAL_TYPES = (float, np.floating, np.datetime64, type(pd.NaT))


def is_list_of_trips(trips: Any) -> bool:
    """Return whether trips are a list of dicts."""
    return (
        isinstance(trips, Sequence)
        and not isinstance(trips, str | bytes)
        and all(isinstance(trip, Mapping) for trip in trips)
    )


def index_of(trips: Any) -> pd.Index[Any] | None:
    """Return the index of a pandas object, with one label per trip, or None for other objects."""
    if isinstance(trips, pd.Series):
        return pd.Index([trips.name])
    return trips.index if isinstance(trips, pd.DataFrame) else None


def to_table(trips: Any, dataset: Dataset) -> pa.Table:
    """Return the columns of raw trips that are fields as an Arrow table.

    Trips are a pandas DataFrame or Series (one trip), an Arrow table, a list of dicts, or an object
    with the Arrow C stream interface, such as a Polars DataFrame. Raises TypeError for other
    objects.
    """
    if isinstance(trips, pd.DataFrame):
        return _frame_to_table(trips, dataset)
    if isinstance(trips, pd.Series):
        return _frame_to_table(trips.to_frame().T, dataset)
    if is_list_of_trips(trips):
        return trips_to_table(trips, dataset)
    if hasattr(trips, "__arrow_c_stream__") or hasattr(trips, "__arrow_c_array__"):
        return _arrow_to_table(trips, dataset)
    raise _not_trips(trips)


def trips_to_table(trips: Sequence[Mapping[Any, Any]], dataset: Dataset) -> pa.Table:
    """Return the fields of trips, given as plain values under the names of source files.

    If a trip does not have a column, the value is null. Without trips, the table has all columns.
    """
    if not trips:
        arrays = {
            field.name: pa.array([], conform.ARROW_TYPE_BY_KIND[field.kind]) for field in dataset.fields
        }
        return pa.table(arrays)
    named = NamedTrips.of(trips, dataset)
    columns = {}
    for field in named.fields:
        spelled = next(names[field.name] for names in named.names.values() if field.name in names)
        columns[spelled] = values_to_arrow(named.values(field))
    return pa.table(columns) if columns else _table_without_columns(len(trips))


def values_to_arrow(values: Sequence[Any]) -> pa.Array:
    """Return plain values of a column as an Arrow array. NaN, NaT and NA become null.

    Values of different types become text, because Arrow would refuse them, or would drop the time
    zone of some.
    """
    values = [None if _is_missing(value) else value for value in values]
    kinds = {_type_key(value) for value in values} - {_type_key(None)}
    if any(kind is pd.Timestamp for kind, _ in kinds):
        values = list(map(_with_unit, values))
        kinds = {_type_key(value) for value in values} - {_type_key(None)}
    if len(kinds) <= 1 or kinds == {_type_key(1), _type_key(1.5)}:
        try:
            return pa.array(values, from_pandas=True)
        except ARROW_ERRORS:
            pass
    return pa.array(list(map(_to_text, values)), pa.string())


def _with_unit(value: Any) -> Any:
    """Return a time of pandas in seconds or milliseconds in a form that keeps its unit.

    From such times, Arrow would make microseconds, also from times beyond their range.
    """
    if not isinstance(value, pd.Timestamp) or value.unit not in ("s", "ms"):
        return value
    return value.to_datetime64() if value.tz is None else value.isoformat()


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA:
        return True
    if isinstance(value, Decimal):  # a signaling NaN cannot be compared
        return value.is_nan()
    return isinstance(value, _UNEQUAL_TYPES) and bool(value != value)  # noqa: PLR0124 - true for NaN


def _type_key(value: Any) -> tuple[type, bool]:
    return type(value), isinstance(value, dt.datetime) and value.tzinfo is not None


def _to_text(value: Any) -> str | None:
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, dt.datetime) else str(value)
    return text.encode(errors="replace").decode()


def _frame_to_table(frame: pd.DataFrame, dataset: Dataset) -> pa.Table:
    if isinstance(frame.columns, pd.MultiIndex):
        raise SchemaError(
            "cannot score the trips: the columns of the frame are a MultiIndex",
            hint="Give each column one name, for example with `frame.columns.get_level_values(0)`.",
        )
    columns = [*_columns_of(frame, dataset), *_columns_of_index(frame, dataset)]
    if not columns:
        require_names(list(map(str, frame.columns)), dataset)
        return _table_without_columns(len(frame))
    names, series = zip(*columns, strict=True)
    return pa.Table.from_arrays(list(map(_series_to_arrow, series)), list(names))


def _columns_of(frame: pd.DataFrame, dataset: Dataset) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield the columns of a frame that are fields. A name can occur twice."""
    for position, name in enumerate(map(str, frame.columns)):
        if has_field(name, dataset):
            yield name, frame.iloc[:, position]


def _columns_of_index(frame: pd.DataFrame, dataset: Dataset) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield the levels of the index that are fields, for example after `set_index`.

    With `set_index(name, drop=False)`, the frame also has the column, which counts.
    """
    for level, name in enumerate(map(str, frame.index.names)):
        if has_field(name, dataset) and name not in frame.columns:
            yield name, frame.index.get_level_values(level).to_series()


def _series_to_arrow(series: pd.Series[Any]) -> pa.Array:
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    if series.dtype != object and not isinstance(series.dtype, pd.PeriodDtype):
        try:
            return pa.array(series, from_pandas=True)
        except ARROW_ERRORS:
            pass
    return values_to_arrow(series.astype(object).tolist())


def _arrow_to_table(trips: Any, dataset: Dataset) -> pa.Table:
    try:
        table = pa.table(trips)
    except ARROW_ERRORS:
        raise _not_trips(trips) from None
    positions = [position for position, name in enumerate(table.column_names) if has_field(name, dataset)]
    if not positions:
        require_names(table.column_names, dataset)
        return _table_without_columns(len(table))
    names = [table.column_names[position] for position in positions]
    return pa.Table.from_arrays([_with_plain_text(table.column(position)) for position in positions], names)


def _with_plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without the text types of Polars, which Arrow cannot cast to times."""
    if pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type):
        chunks = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.string())
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column


def _table_without_columns(rows: int) -> pa.Table:
    return pa.table({"": pa.nulls(rows)})


def _not_trips(trips: Any) -> TypeError:
    kind, advice = type(trips).__name__, "To score a file, use predict(pandas.read_parquet(file))"
    if isinstance(trips, Mapping):
        advice = "To score one trip as a dict, use predict([trip])"
    elif isinstance(trips, Sequence) and not isinstance(trips, str | bytes):
        first = next(item for item in trips if not isinstance(item, Mapping))
        kind, advice = f"a {kind} with {type(first).__name__}", "Convert each trip to a dict"
    return TypeError(f"cannot score the trips: expected {EXPECTED_TYPES}, not {kind}. {advice}")
