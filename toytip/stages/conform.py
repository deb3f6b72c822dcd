"""Convert the column names and types of any TLC file to the schema of `trips`.

This is the only place where values of users become values of `trips`: in runs, in `toytip score`,
in the Python API, and in the check of a source. `serving.values` has the same rules for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.arrays import BoolArray
from toytip.core.columns import ColumnValues
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Field
from toytip.core.dataset.table_columns import field_column
from toytip.core.number_values import (
    MAX_AMOUNT,
    MAX_CODE,
    decode_dictionary,
    is_number,
    is_text,
    read_amounts,
    read_codes,
    replace_texts,
    to_text,
)
from toytip.core.partitions import SourcePartition
from toytip.core.tables import RAW_TRIPS
from toytip.core.text import join_words
from toytip.core.time_pairs import find_contradiction
from toytip.core.time_values import FROM_TEXT, count_date_orders, is_time, read_times
from toytip.errors import SchemaError

# The types in which the TLC publishes its files, by kind of field.
ARROW_TYPE_BY_KIND = {"time": pa.timestamp("us"), "code": pa.int32(), "amount": pa.float64()}
WRITE_ISO_TIMES = (
    "Write {} as text such as 2023-01-31 20:15:00. In pandas, pandas.to_datetime(times, "
    "format='%d/%m/%Y %I:%M:%S %p') reads the times."
)
# Fixes of columns, whose names replace {}.
CONVERT = {
    "time": "Convert {} to a time, for example to a timestamp or to text such as 2023-01-31 20:15:00.",
    "code": "Convert {} to a whole number.",
    "amount": "Convert {} to a number.",
}
REMOVE_QUOTES = (
    'Remove the quotes around the values of {}. In pandas, read_csv(file, quotechar="\'") reads values in single '
    "quotes."
)
# A column with more unreadable values is not a column of this field.
MAX_UNREADABLE_SHARE = 0.5
# Number of known texts in a hint.
MAX_LISTED_TEXTS = 5
# A few values in a column that is otherwise empty do not decide on the column.
MIN_PRESENT_SHARE = 0.01
# Returns the name of a row for messages, given its position, such as `line 7 of trips.csv`.
RowLabel = Callable[[int], str]
# Line 1 of a CSV file is the header. Empty lines do not count.
FIRST_ROW_LINE = 2
_READERS = {"code": read_codes, "amount": read_amounts}
KIND_DESCRIPTIONS = {"time": "a time", "code": "a whole number", "amount": "a number"}
VALUE_DESCRIPTIONS = {
    "time": "a time",
    "code": f"a whole number up to {MAX_CODE:,}",
    "amount": f"a number up to {MAX_AMOUNT:,.0f}",
}


def label_row(row: int) -> str:
    """Return the name of a row of a table, as pandas and Arrow count rows."""
    return f"row {row} (counted from 0)"


def label_line(row: int) -> str:
    """Return the name of a row of a CSV file, as a text editor shows its line.

    >>> label_line(0)
    'line 2'
    """
    return f"line {FIRST_ROW_LINE + row}"


def conform(raw: pa.Table, partition: SourcePartition, dataset: Dataset) -> pd.DataFrame:
    """Return the rows of a partition as `raw_trips`: `trips`, and the rows with unreadable values.

    Upper case, spaces and underscores in column names do not matter. If the file does not have an
    optional column, all values of the column are missing. Raises SchemaError if a required column
    does not exist, or if a column has a type that cannot be converted.
    """
    columns = complete_columns(read_columns(raw, partition.uri, dataset), partition, dataset)
    return dataset.table(RAW_TRIPS).validate(pd.DataFrame(columns))


def complete_columns(
    by_field: Mapping[str, ColumnValues], partition: SourcePartition, dataset: Dataset
) -> dict[str, npt.NDArray[Any]]:
    """Return all columns of `raw_trips` from the converted columns of a partition.

    Raises SchemaError if a required column does not exist.
    """
    rows = np.arange(partition.start, partition.stop, dtype=np.int64)
    columns: dict[str, npt.NDArray[Any]] = {
        "trip_id": dataset.first_trip_id(partition.taxi, *partition.month) + rows
    }
    for field in dataset.fields:
        if field.name in by_field:
            columns[field.name] = by_field[field.name].array
        elif field.required:
            raise SchemaError(
                f"cannot use {partition.uri}: column {dataset.layout.source_column(field.name, partition.taxi)} is missing",
                hint="Use files with all required columns.",
            )
        else:
            columns[field.name] = missing_values(field, len(rows))
    return columns | {"unreadable": unreadable_rows(by_field, len(rows))}


def conform_columns(
    raw: pa.Table, uri: str, dataset: Dataset, label: RowLabel = label_row, *, refuse_most: bool = True
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `raw_trips` that raw rows have.

    Raises SchemaError if a column has a type that cannot be converted, or, with `refuse_most`, if
    most of its values cannot be read. The message contains the URI. `label` names a row.
    """
    by_field = read_columns(raw, uri, dataset)
    if refuse_most:
        _require_month_first(raw, uri, dataset)
    for unreadable in find_unreadable(raw, by_field, dataset).values() if refuse_most else ():
        if unreadable.is_most(len(raw)):
            raise SchemaError(
                f"cannot use {uri}: {unreadable.describe(label)}",
                hint=unreadable.fix.format(unreadable.column),
            )
    if refuse_most:
        _require_equal_clocks(raw, uri, dataset, by_field)
    columns = {name: column.array for name, column in by_field.items()}
    return columns | {"unreadable": unreadable_rows(by_field, len(raw))}


def _require_month_first(raw: pa.Table, uri: str, dataset: Dataset) -> None:
    """Raise SchemaError if a column of times has the day before the month."""
    for field, name in dataset.field_names.match(raw.column_names).items():
        if dataset.fields_by_name[field].kind == "time":
            day_first, month_first = count_date_orders(decode_dictionary(raw.column(name)))
            if day_first > month_first:
                raise SchemaError(
                    f"cannot use {uri}: {describe_day_first(name)}", hint=WRITE_ISO_TIMES.format(name)
                )


def _require_equal_clocks(
    raw: pa.Table, uri: str, dataset: Dataset, converted: Mapping[str, ColumnValues]
) -> None:
    """Raise SchemaError if the pickup and dropoff times contradict each other."""
    names = dataset.field_names.match(raw.column_names)
    if not {"pickup_at", "dropoff_at"} <= converted.keys():
        return
    conversions = {converted[name].conversion for name in ("pickup_at", "dropoff_at")}
    if conversions <= {"", FROM_TEXT}:
        return
    if problem := find_contradiction(raw, names["pickup_at"], names["dropoff_at"]):
        raise SchemaError(f"cannot use {uri}: {problem}", hint=problem.fix)


def describe_day_first(column: str) -> str:
    """Return the problem of a column whose times have the day before the month."""
    return f"column {column} has times of 12 hours with the day before the month"


def describe_conversions(raw: pa.Table, dataset: Dataset) -> list[str]:
    """Return the conversions of time columns whose meaning depends on a rule, as text.

    A time as text without a zone has only one meaning. Raises SchemaError as `read_columns` does.
    """
    notes = []
    for field, name in dataset.field_names.match(raw.column_names).items():
        if dataset.fields_by_name[field].kind == "time":
            conversion = read_column(raw.column(name), dataset.fields_by_name[field], name, "").conversion
            if conversion not in ("", FROM_TEXT):
                notes.append(describe_conversion(name, conversion))
    return notes


def describe_conversion(column: str, conversion: str) -> str:
    """Return a conversion of a column as text.

    >>> describe_conversion("pickup_datetime", "from epoch numbers in seconds")
    'column pickup_datetime is converted from epoch numbers in seconds'
    """
    return f"column {column} is converted {conversion}"


@dataclass(frozen=True, kw_only=True)
class UnreadableValues:
    """The values of a column that cannot be read."""

    column: str
    """Name of the column in the file."""
    kind: str
    """Kind of the values that the column should have: `time`, `code` or `amount`."""
    count: int
    """Number of unreadable values."""
    present: int
    """Number of values that are not missing."""
    row: int
    """Number of the first row with an unreadable value in its file, from 0. Row 0 of a CSV file is
    line 2."""
    example: str
    """The unreadable value of this row, as text."""
    texts: tuple[str, ...] = ()
    """The texts that the column can have for codes."""

    @property
    def fix(self) -> str:
        """How to correct the column, whose name replaces {}."""
        is_quoted = len(self.example) > 1 and self.example[0] == self.example[-1] and self.example[0] in "'\""
        if self.texts and not is_quoted:
            texts = join_words(self.texts[:MAX_LISTED_TEXTS], "or").replace("{", "{{").replace("}", "}}")
            return f"Use a text such as {texts} in {{}}, or a whole number."
        return REMOVE_QUOTES if is_quoted else CONVERT[self.kind]

    def is_most(self, rows: int) -> bool:
        """Return whether so many values are unreadable that the column is not one of this field.

        `rows` is the number of rows.
        """
        is_filled = self.present > MIN_PRESENT_SHARE * rows
        return is_filled and self.count > MAX_UNREADABLE_SHARE * self.present

    def describe(self, label: RowLabel = label_row) -> str:
        """Return the problem as text. `label` names the row."""
        return (
            f"column {self.column} has {self.count:,} of {self.present:,} values that are not "
            f"{VALUE_DESCRIPTIONS[self.kind]}{' or a known text' if self.texts else ''}, for example {self.example!r} in {label(self.row)}"
        )


def find_unreadable(
    raw: pa.Table, by_field: Mapping[str, ColumnValues], dataset: Dataset
) -> dict[str, UnreadableValues]:
    """Return the unreadable values of raw rows, by field."""
    names, by_name = dataset.field_names.match(raw.column_names), {}
    for name, converted in by_field.items():
        if converted.unreadable is None:
            continue
        count, row = int(converted.unreadable.sum()), int(np.argmax(converted.unreadable))
        by_name[name] = UnreadableValues(
            column=names[name],
            kind=dataset.fields_by_name[name].kind,
            count=count,
            present=count + int(np.count_nonzero(pd.notna(converted.array))),
            row=row,
            example=f"{_plain(raw.column(names[name]).slice(row, 1)):.60}",
            texts=tuple(text for text, _ in dataset.fields_by_name[name].texts),
        )
    return by_name


def _plain(value: pa.ChunkedArray) -> str:
    """Return the only value of a column as text."""
    value = decode_dictionary(value)
    try:
        return str((to_text(value) if is_text(value.type) else value)[0].as_py())
    except (ValueError, OverflowError):  # Python's times end with the year 9999
        return str(value[0].cast(pa.int64()).as_py())


def read_columns(raw: pa.Table, uri: str, dataset: Dataset) -> dict[str, ColumnValues]:
    """Return the converted values of the columns that match a field, by field.

    Raises SchemaError if a column has a type that cannot be converted.
    """
    names = dataset.field_names.match(raw.column_names)
    return {
        field.name: read_column(raw.column(names[field.name]), field, names[field.name], uri)
        for field in dataset.fields
        if field.name in names
    }


def read_column(column: pa.ChunkedArray, field: Field, name: str, uri: str) -> ColumnValues:
    """Return the converted values of a column. Raises SchemaError for an unsuitable type."""
    if not is_convertible(column.type, field):
        raise SchemaError(
            f"cannot use {uri}: column {name} is {column.type}, not {KIND_DESCRIPTIONS[field.kind]}",
            hint=f"Convert the column to {KIND_DESCRIPTIONS[field.kind]}.",
        )
    column = decode_dictionary(column)
    if field.texts and is_text(column.type):
        column = replace_texts(column, field.texts)
    if field.kind == "time":
        return read_times(column, field.time_zone)
    return _READERS[field.kind](column)


def is_convertible(arrow_type: pa.DataType, field: Field) -> bool:
    """Return whether values of a type can be values of a field.

    >>> is_convertible(pa.timestamp("ms", "UTC"), Field("pickup_at", "time"))
    True
    >>> is_convertible(pa.bool_(), Field("payment_type", "code"))
    False
    """
    if pa.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if pa.types.is_null(arrow_type):
        return True
    if field.kind == "time":
        return is_time(arrow_type)
    return is_number(arrow_type) or is_text(arrow_type)


def unreadable_rows(columns: Mapping[str, ColumnValues], rows: int) -> BoolArray:
    """Return the rows in which at least one value cannot be read."""
    masks = [column.unreadable for column in columns.values() if column.unreadable is not None]
    return np.logical_or.reduce(masks) if masks else np.zeros(rows, bool)


def missing_values(field: Field, rows: int) -> npt.NDArray[Any]:
    """Return a column of `trips` in which all values are missing."""
    return np.full(
        rows,
        np.datetime64("NaT", "us") if field.kind == "time" else np.nan,
        field_column(field).dtype,
    )
