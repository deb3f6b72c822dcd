"""Raw trips of many kinds as an Arrow table: frames, Arrow data, lists of dicts, a single trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from toytip.core.tlc import FIELDS, match_fields
from toytip.errors import SchemaError
from toytip.models.trip_columns import NamedTrips
from toytip.models.trip_values import ARROW_ERRORS, TripLabel, values_to_arrow
from toytip.stages import conform

EXPECTED_TYPES = "a pandas DataFrame, an Arrow table or a list of dicts"
ROW_LABEL: TripLabel = "row {}".format
TRIP_LABEL: TripLabel = "trip {}".format


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


def to_table(trips: Any) -> pa.Table:
    """Return the TLC's columns of raw trips as an Arrow table.

    Trips are a pandas DataFrame or Series (one trip), an Arrow table, a list of dicts, or an object
    with the Arrow C stream interface, such as a Polars DataFrame. Raises TypeError for other
    objects, and SchemaError for a value that has no Arrow type.
    """
    if isinstance(trips, pd.DataFrame):
        return _frame_to_table(trips)
    if isinstance(trips, pd.Series):
        return _frame_to_table(trips.to_frame().T)
    if is_list_of_trips(trips):
        return trips_to_table(trips)
    if hasattr(trips, "__arrow_c_stream__") or hasattr(trips, "__arrow_c_array__"):
        return _arrow_to_table(trips)
    raise _not_trips(trips)


def trips_to_table(trips: Sequence[Mapping[Any, Any]], label: TripLabel = TRIP_LABEL) -> pa.Table:
    """Return the TLC's columns of trips, given as plain values under the TLC's names.

    If a trip does not have a column, the value is null. Without trips, the table has all columns.
    Raises SchemaError if a value cannot be converted. The message has the column, the value and the
    label of the trip.
    """
    if not trips:
        arrays = {field.name: pa.array([], conform.ARROW_TYPE_BY_KIND[field.kind]) for field in FIELDS}
        return pa.table(arrays)
    named = NamedTrips.of(trips)
    columns = {}
    for field in named.fields:
        spelled = next(names[field.name] for names in named.names.values() if field.name in names)
        columns[spelled] = values_to_arrow(named.values(field), spelled, label)
    return pa.table(columns) if columns else _table_without_columns(len(trips))


def _frame_to_table(frame: pd.DataFrame) -> pa.Table:
    if isinstance(frame.columns, pd.MultiIndex):
        raise SchemaError(
            "cannot score the trips: the columns of the frame are a MultiIndex",
            hint="Give each column one name, for example with `frame.columns.get_level_values(0)`.",
        )
    names = [str(name) for name in frame.columns]
    positions = [position for position, name in enumerate(names) if match_fields([name])]
    if not positions:
        return _table_without_columns(len(frame))
    arrays = [_series_to_arrow(frame.iloc[:, position], names[position]) for position in positions]
    return pa.Table.from_arrays(arrays, [names[position] for position in positions])


def _series_to_arrow(series: pd.Series[Any], name: str) -> pa.Array:
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    if series.dtype != object and not isinstance(series.dtype, pd.PeriodDtype):
        try:
            return pa.array(series, from_pandas=True)
        except ARROW_ERRORS:
            pass
    return values_to_arrow(series.astype(object).tolist(), name, ROW_LABEL)


def _arrow_to_table(trips: Any) -> pa.Table:
    try:
        table = pa.table(trips)
    except ARROW_ERRORS:
        raise _not_trips(trips) from None
    positions = [position for position, name in enumerate(table.column_names) if match_fields([name])]
    if not positions:
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
    return pa.table({"none": pa.nulls(rows)})


def _not_trips(trips: Any) -> TypeError:
    return TypeError(
        f"cannot score the trips: expected {EXPECTED_TYPES}, not {type(trips).__name__}. "
        "To score a file, use predict(pandas.read_parquet(file))"
    )
