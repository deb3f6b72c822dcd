"""conform: any TLC year's names and types -> the one `trips` schema."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from toytip.core.partitions import SourcePartition
from toytip.core.tables import TRIPS
from toytip.core.tlc import FIELDS, Field, trip_id_base
from toytip.errors import SchemaError

ARROW_TYPE_BY_KIND = {"time": pa.timestamp("us"), "code": pa.int32(), "amount": pa.float64()}


def conform(raw: pa.Table, part: SourcePartition) -> pd.DataFrame:
    """Return `raw`, rows `part.start` to `part.stop` of one monthly file, as `trips`.

    Names match whatever their case and prefix; an optional column that the file lacks is missing throughout.
    Raises SchemaError naming file and column where a required column is absent or does not convert.
    """
    columns = {
        "trip_id": trip_id_base(part.taxi, *part.month) + np.arange(part.start, part.stop, dtype=np.int64)
    }
    for field in FIELDS:
        columns[field.name] = _convert(raw, field, part.uri).astype(TRIPS.dtypes[field.name])
    return TRIPS.validate(pd.DataFrame(columns))


def _convert(raw: pa.Table, field: Field, uri: str) -> pd.Series:
    name = field.match(raw.column_names)
    if name is None:
        if field.required:
            raise SchemaError(f"{uri}: no column {field.name}; it is not a TLC trip record, or a broken one")
        return pd.Series(np.nan, index=range(len(raw)))
    try:
        return raw.column(name).cast(ARROW_TYPE_BY_KIND[field.kind]).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"{uri}: column {name} cannot be read as {field.kind}: {reason}") from None
