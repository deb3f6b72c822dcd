"""Columns and tables: their types in memory and on disk, and their validation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from toytip.errors import SchemaError

# A whole number that can be missing is a float in memory, so that NumPy can compute with it, and an
# integer on disk.
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
    """A column of a table."""

    name: str
    """Name of the column."""
    dtype: str
    """Dtype in memory."""
    disk_type: pa.DataType | None = None
    """Type on disk, if it differs from the type of `DISK_TYPES`."""
    repeats: bool = True
    """Whether equal values occur often enough for a dictionary encoding."""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type on disk."""
        return DISK_TYPES[self.dtype] if self.disk_type is None else self.disk_type


def nullable_int(name: str) -> Column:
    """Return a column of whole numbers that can be missing."""
    return Column(name, "float32", pa.int32())


@dataclass(frozen=True)
class Table:
    """A named table with columns in a fixed order, or an artifact: named files without columns."""

    name: str
    columns: tuple[Column, ...] = ()
    _: KW_ONLY
    description: str = ""
    """Meaning of a row, and the commands that write the table."""
    made_by: str = ""
    """The stage that computes the table."""
    modules: tuple[str, ...] = ()
    """Modules of `toytip` that compute the rows, in addition to the modules of every stage."""
    rows_are_trips: bool = True
    """Whether each row is a trip. Only the rows of such tables count in the row balance."""
    published_with: tuple[str, ...] = ()
    """Tables with which this table is published, under the same version."""
    artifact_files: tuple[str, ...] = ()
    """The files of an artifact."""

    @property
    def is_artifact(self) -> bool:
        """Whether a version of the table consists of named files instead of rows."""
        return bool(self.artifact_files)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    @property
    def dtypes(self) -> dict[str, str]:
        """The dtype in memory of every column, by name."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def arrow_schema(self) -> pa.Schema:
        """The schema on disk."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])

    def select_existing(self, names: Collection[str]) -> Table:
        """Return the table with only the columns that are among the names."""
        return replace(self, columns=tuple(column for column in self.columns if column.name in names))

    def empty(self) -> pd.DataFrame:
        """Return a frame without rows, as the `meta` of a lazy frame."""
        return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in self.columns})

    def validate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame unchanged. Raises SchemaError if the columns are not as declared."""
        names = list(frame.columns)
        if names != self.names:
            missing = [name for name in self.names if name not in names]
            extra = [name for name in names if name not in self.names]
            raise SchemaError(
                f"cannot use the rows of {self.name}: missing columns {missing}, undeclared columns {extra}, "
                "or columns in a different order"
            )
        for column in self.columns:
            if str(frame[column.name].dtype) != column.dtype:
                raise SchemaError(
                    f"cannot use the rows of {self.name}: column {column.name} has dtype "
                    f"{frame[column.name].dtype} instead of {column.dtype}"
                )
        return frame

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """Validate a frame and return its rows with the types on disk."""
        return pa.Table.from_pandas(
            self.validate(frame), schema=self.arrow_schema, preserve_index=False
        ).replace_schema_metadata()

    @property
    def parquet_options(self) -> dict[str, Any]:
        """Options of the Parquet writer: no dictionaries for columns whose values hardly repeat."""
        unique = [column for column in self.columns if not column.repeats]
        return {
            "use_dictionary": [column.name for column in self.columns if column.repeats],
            "column_encoding": {c.name: "DELTA_BINARY_PACKED" for c in unique if c.dtype == "int64"},
            "compression": "zstd",
        }

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        """Return the rows of a file as a frame. Raises SchemaError if the file lacks a column."""
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(
                f"cannot read {self.name}: the file has no column {', '.join(missing)}",
                hint="Compute the version again with `toytip run --full-refresh`.",
            )
        frame = table.select(self.names).to_pandas(date_as_object=False)
        return self.validate(frame.astype(self.dtypes))

    def select(self, names: list[str]) -> Table:
        """Return the table with only the named columns, in the order of the names."""
        by_name = {column.name: column for column in self.columns}
        return replace(self, columns=tuple(by_name[name] for name in names))
