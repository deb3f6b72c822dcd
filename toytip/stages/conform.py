"""Convert the column names and types of any TLC file to the schema of `trips`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.partitions import SourcePartition
from toytip.core.tables import TRIPS
from toytip.core.tlc import FIELDS, Field, match_fields, source_column, trip_id_base
from toytip.errors import SchemaError

ARROW_TYPE_BY_KIND = {"time": pa.timestamp("us"), "code": pa.int32(), "amount": pa.float64()}


def conform(raw: pa.Table, partition: SourcePartition) -> pd.DataFrame:
    """Return the rows of a partition as `trips`.

    Column names match in any case, and with the prefix of either taxi type. If the file does not
    have an optional column, all values of the column are missing. Raises SchemaError if a required
    column does not exist, or if a column cannot be converted.
    """
    rows = np.arange(partition.start, partition.stop, dtype=np.int64)
    columns = {"trip_id": trip_id_base(partition.taxi, *partition.month) + rows}
    columns |= conform_columns(raw, partition.uri)
    for field in FIELDS:
        if field.name in columns:
            continue
        if field.required:
            raise SchemaError(
                f"cannot use {partition.uri}: column {source_column(field.name, partition.taxi)} is missing",
                hint="Use trip records of the TLC, with all their columns.",
            )
        columns[field.name] = missing_values(field, len(raw))
    return TRIPS.validate(pd.DataFrame({name: columns[name] for name in TRIPS.names}))


def conform_columns(raw: pa.Table, uri: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `trips` that raw rows have, with their types in `trips`.

    Raises SchemaError if a column cannot be converted. The message contains the URI.
    """
    names = match_fields(raw.column_names)
    return {
        field.name: _convert(raw, names[field.name], field, uri) for field in FIELDS if field.name in names
    }


def missing_values(field: Field, rows: int) -> npt.NDArray[Any]:
    """Return a column of `trips` in which all values are missing."""
    return np.full(rows, np.datetime64("NaT") if field.kind == "time" else np.nan, TRIPS.dtypes[field.name])


def _convert(raw: pa.Table, name: str, field: Field, uri: str) -> npt.NDArray[Any]:
    try:
        values = raw.column(name).cast(ARROW_TYPE_BY_KIND[field.kind])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"cannot convert column {name} of {uri} to type {field.kind}: {reason}") from None
    return np.asarray(values.to_numpy(), TRIPS.dtypes[field.name])
