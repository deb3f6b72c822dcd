"""Read a published version as one lazy Dask DataFrame with exactly the files of its manifest."""

from __future__ import annotations

from collections.abc import Sequence

import dask
import dask.dataframe as dd
import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import TABLES
from toytip.errors import StoreError
from toytip.store.manifest import Manifest
from toytip.store.store import Store

# The columns that come from the path of a data file. Their types can hold `100 * year + month`.
PATH_COLUMNS = {"version": "category", "year": "int32", "month": "int32"}


def read_table(
    store: Store, manifest: Manifest, dataset: Dataset, months: Sequence[Month] | None = None
) -> dd.DataFrame:
    """Return a version as a lazy frame with one partition per file.

    The frame has the additional columns `version`, `year` and `month`, and decodes only the columns
    that the computation uses. The computation raises StoreError if a file differs from its
    published content.
    """
    table = dataset.table(get_readable_table(manifest.table))
    files = data_files_of(manifest, months)
    meta = _add_path_columns(table.empty(), manifest.version, Month(2000, 1))
    # The string columns already have the correct dtype, which Dask's conversion would change.
    with dask.config.set({"dataframe.convert-string": False}):
        if not files:
            return dd.from_pandas(meta, npartitions=1)
        return dd.from_map(
            _read_data_file,
            files,
            meta=meta,
            label=table.name,
            enforce_metadata=False,
            store=store.absolute(),
            table=table,
            version=manifest.version,
        )


def get_readable_table(name: str) -> Table:
    """Return the table of the registry with a name. Raises StoreError if it has no rows to read."""
    readable = {table.name: table for table in TABLES if not table.is_artifact}
    if name not in readable:
        raise StoreError(
            f"cannot read table {name!r}: no readable table has this name",
            hint=f"Choose one of {', '.join(readable)}.",
        )
    return readable[name]


def data_files_of(manifest: Manifest, months: Sequence[Month] | None = None) -> list[DataFile]:
    """Return the data files of a version for the given months, by default for all months.

    Raises StoreError if the version has no data file for one of the months.
    """
    if months is None:
        return list(manifest.files)
    existing = sorted({file.month for file in manifest.files if file.month is not None})
    for month in months:
        if month not in existing:
            span = f"months {existing[0]}:{existing[-1]}" if existing else "no months"
            raise StoreError(
                f"cannot read month {month} of {manifest.table} {manifest.version}: the version has {span}"
            )
    return [file for file in manifest.files if file.month in months]


def _read_data_file(
    file: DataFile, store: Store, table: Table, version: str, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a data file. Dask sets `columns` to the columns that the graph uses."""
    requested = [*table.names, *PATH_COLUMNS] if columns is None else list(columns)
    # A frame without columns would lose its number of rows, so at least one column is read.
    names = [name for name in requested if name in table.names] or table.names[:1]
    rows = store.read_data_file(table.select(names), version, file)
    return _add_path_columns(rows, version, file.key.month)[requested]


def _add_path_columns(rows: pd.DataFrame, version: str, month: Month) -> pd.DataFrame:
    versions = pd.Categorical.from_codes([0] * len(rows), categories=[version])
    return rows.assign(version=versions, year=month.year, month=month.month).astype(
        {"year": PATH_COLUMNS["year"], "month": PATH_COLUMNS["month"]}
    )
