"""The tables: their columns, the exact dtypes in memory and on disk, and the door that checks both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from toytip.errors import SchemaError
from toytip.values import TAXIS

# In memory a nullable whole number is a float, so that arithmetic stays plain numpy; on disk it is an integer.
DISK_TYPES = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "datetime64[us]": pa.timestamp("us"),
    "str": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """A column: its dtype in memory, and on disk where that differs; whether values come again and again."""

    name: str
    dtype: str
    disk_type: pa.DataType | None = None
    repeats: bool = True

    @property
    def arrow_type(self) -> pa.DataType:
        """The type on disk."""
        return DISK_TYPES[self.dtype] if self.disk_type is None else self.disk_type


def nullable_int(name: str) -> Column:
    """A whole number that may be missing."""
    return Column(name, "float32", pa.int32())


@dataclass(frozen=True)
class Table:
    """A named table of columns in a fixed order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @property
    def dtypes(self) -> dict[str, str]:
        """The dtype in memory of every column."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def arrow_schema(self) -> pa.Schema:
        """The schema on disk."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])

    def select_existing(self, names: Collection[str]) -> Table:
        """Return the table with some of its columns; names of others do not matter."""
        return Table(self.name, tuple(column for column in self.columns if column.name in names))

    def empty(self) -> pd.DataFrame:
        """Return a frame of no rows with exactly these columns: the meta of a lazy frame."""
        return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in self.columns})

    def validate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame as it is; raises SchemaError naming the first column that is not as declared."""
        found = list(frame.columns)
        if found != self.names:
            missing = [name for name in self.names if name not in found]
            extra = [name for name in found if name not in self.names]
            raise SchemaError(
                f"table {self.name}: columns missing {missing}, not declared {extra}, or out of order"
            )
        for column in self.columns:
            if str(frame[column.name].dtype) != column.dtype:
                raise SchemaError(
                    f"table {self.name}: column {column.name} is {frame[column.name].dtype}, declared {column.dtype}"
                )
        return frame

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """Check the frame and return it as it goes to disk."""
        return pa.Table.from_pandas(
            self.validate(frame), schema=self.arrow_schema, preserve_index=False
        ).replace_schema_metadata()

    @property
    def parquet_options(self) -> dict[str, Any]:
        """How parquet's writer encodes the columns: a dictionary of values that hardly repeat is made in vain."""
        once = [column for column in self.columns if not column.repeats]
        return {
            "use_dictionary": [column.name for column in self.columns if column.repeats],
            "column_encoding": {c.name: "DELTA_BINARY_PACKED" for c in once if c.dtype == "int64"},
            "compression": "zstd",
        }

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        """Return what was read from disk as a frame of this table. Raises SchemaError on other columns."""
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(f"table {self.name}: the file has no column {', '.join(missing)}")
        frame = table.select(self.names).to_pandas(date_as_object=False)
        return self.validate(frame.astype(self.dtypes))

    def select(self, names: list[str]) -> Table:
        """Return the table of some of the columns, in the order given."""
        by_name = {column.name: column for column in self.columns}
        return Table(self.name, tuple(by_name[name] for name in names))


@dataclass(frozen=True)
class Field:
    """A column of the TLC's files: what it is called there, and whether a file may lack it."""

    name: str
    kind: str  # "time", "code" (a whole number) or "amount"
    required: bool = True
    aliases: tuple[str, ...] = ()

    def match(self, names: list[str]) -> str | None:
        """Return the name under which a file holds the field; the TLC's spelling varies in case.

        >>> Field("airport_fee", "amount").find(["VendorID", "Airport_fee"])
        'Airport_fee'
        """
        wanted = {alias.lower() for alias in (self.name, *self.aliases)}
        return next((name for name in names if name.lower() in wanted), None)


# Source: the TLC's data dictionaries for yellow and green trip records, and the published files since 2011.
# A required field is in every file of every year; an optional one came later, or belongs to one taxi.
FIELDS = (
    Field("pickup_at", "time", aliases=("tpep_pickup_datetime", "lpep_pickup_datetime")),
    Field("dropoff_at", "time", aliases=("tpep_dropoff_datetime", "lpep_dropoff_datetime")),
    Field("VendorID", "code"),
    Field("passenger_count", "code"),
    Field("trip_distance", "amount"),
    Field("PULocationID", "code"),
    Field("DOLocationID", "code"),
    Field("RatecodeID", "code"),
    Field("payment_type", "code"),
    Field("trip_type", "code", required=False),
    Field("fare_amount", "amount"),
    Field("tip_amount", "amount"),
    Field("extra", "amount"),
    Field("mta_tax", "amount"),
    Field("tolls_amount", "amount"),
    Field("improvement_surcharge", "amount"),
    Field("congestion_surcharge", "amount", required=False),
    Field("airport_fee", "amount", required=False),
    Field("cbd_congestion_fee", "amount", required=False),
)


def detect_taxi(names: list[str]) -> str | None:
    """Tell the taxi by the prefix of the pickup column; None where the file is no trip record.

    >>> detect_taxi(["VendorID", "lpep_pickup_datetime"])
    'green'
    """
    low = {name.lower() for name in names}
    prefixes = {"yellow": "tpep", "green": "lpep"}
    return next((taxi for taxi in TAXIS if f"{prefixes[taxi]}_pickup_datetime" in low), None)


def _to_column(field: Field) -> Column:
    if field.kind == "code":
        return nullable_int(field.name)
    return Column(field.name, "datetime64[us]" if field.kind == "time" else "float64")


TRIPS = Table("trips", (Column("trip_id", "int64", repeats=False), *(_to_column(field) for field in FIELDS)))
REJECTS = Table("rejects", (*TRIPS.columns, Column("reason", "str")))

_TRIP_COLUMNS = (
    Column("trip_id", "int64", repeats=False),
    Column("pickup_at", "datetime64[us]", repeats=False),
    Column("PULocationID", "int32"),
    Column("DOLocationID", "int32"),
    Column("probability", "float32", repeats=False),
)
_LABEL_COLUMNS = (Column("high_tip", "bool"), Column("split", "str"), Column("model_version", "str"))
SCORES = Table("scores", (*_TRIP_COLUMNS, *_LABEL_COLUMNS))
PREDICTIONS = Table("predictions", (*_TRIP_COLUMNS, Column("prediction", "bool"), *_LABEL_COLUMNS))

# How often every feature has about each value, of card trips and the others apart: `value` is null where it is missing,
# `total` the sum of the values in units of 1/1024.
FEATURE_HISTOGRAMS = Table(
    "profiles",
    (
        Column("feature", "str"),
        Column("card", "bool"),
        Column("value", "float32"),
        Column("trips", "int64"),
        Column("total", "int64"),
    ),
)
# What monitoring read of a month: of a kind (drift, missing, ..), the name of a feature, reason or metric, and a measure.
# `bound` is null where nothing is bounded; `beyond` says that this month is, `alert` that the rule has rung.
MONITORING = Table(
    "monitors",
    (
        Column("kind", "str"),
        Column("name", "str"),
        Column("measure", "str"),
        Column("value", "float64"),
        Column("reference", "float64"),
        Column("effect", "float64"),
        Column("bound", "float64"),
        Column("beyond", "bool"),
        Column("alert", "bool"),
    ),
)

# A trip's id is decimal, so that a person can read it: taxi, year and month of the file, row in the file.
_ROWS_IN_FILE = 10**9
_MONTHS = 10**6


def trip_id_base(taxi: str, year: int, month: int) -> int:
    """Return the id of row 0 of a file.

    >>> trip_id_base("yellow", 2023, 1)
    1202301000000000
    """
    return ((TAXIS.index(taxi) + 1) * _MONTHS + year * 100 + month) * _ROWS_IN_FILE


def file_month_index(trip_id: pd.Series[int]) -> pd.Series[int]:
    """Return the month of the file that each trip comes from, as months since the year 0."""
    stamp = trip_id // _ROWS_IN_FILE % _MONTHS
    return stamp // 100 * 12 + stamp % 100 - 1
