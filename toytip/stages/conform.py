"""Convert the column names and types of any TLC file to the schema of `trips`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from toytip.core.partitions import SourcePartition
from toytip.core.tables import TRIPS
from toytip.core.tlc import FIELDS, Field, source_column, trip_id_base
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
    for field in FIELDS:
        columns[field.name] = _convert(raw, field, partition).astype(TRIPS.dtypes[field.name])
    return TRIPS.validate(pd.DataFrame(columns))


def _convert(raw: pa.Table, field: Field, partition: SourcePartition) -> pd.Series:
    name = field.match(raw.column_names)
    if name is None:
        if field.required:
            raise SchemaError(
                f"cannot use {partition.uri}: column {source_column(field.name, partition.taxi)} is missing",
                hint="Use trip records of the TLC, with all their columns.",
            )
        return pd.Series(np.nan, index=range(len(raw)))
    try:
        return raw.column(name).cast(ARROW_TYPE_BY_KIND[field.kind]).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(
            f"cannot convert column {name} of {partition.uri} to type {field.kind}: {reason}"
        ) from None
