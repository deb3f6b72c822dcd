"""frames: a published version as one lazy Dask dataframe, of exactly the files that its manifest lists."""

from __future__ import annotations

from collections.abc import Sequence

import dask
import dask.dataframe as dd
import pandas as pd

from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.errors import StoreError
from toytip.stages.catalog import READABLE_TABLES
from toytip.store.manifest import Manifest
from toytip.store.store import Store

# What stands in the path of a part and not in it. Wide enough for `100 * year + month`.
PATH_COLUMNS = {"version": "category", "year": "int32", "month": "int32"}


def get_table(name: str) -> Table:
    """Return the table of a name. Raises StoreError where there is none."""
    if name not in READABLE_TABLES:
        raise StoreError(f"{name!r} is no table that can be read; there are {', '.join(READABLE_TABLES)}")
    return READABLE_TABLES[name]


def data_files_of(manifest: Manifest, months: Sequence[Month] | None = None) -> list[DataFile]:
    """Return a version's parts, of those months alone if any are given.

    Raises StoreError where the version lacks one of them.
    """
    if months is None:
        return list(manifest.files)
    there = sorted({part.month for part in manifest.files if part.month is not None})
    if lacking := [month for month in months if month not in there]:
        span = f"{there[0]}:{there[-1]}" if there else "none"
        raise StoreError(f"{manifest.table} {manifest.version} has no month {lacking[0]}; it has {span}")
    return [part for part in manifest.files if part.month in months]


def read_table(store: Store, manifest: Manifest, months: Sequence[Month] | None = None) -> dd.DataFrame:
    """Return a version of a table, a partition for each of its files, with the columns `version`, `year` and `month`.

    Nothing is read yet. When it is, a file that is not what was published is a StoreError that names it; of columns that
    are not asked for nothing is decoded.
    """
    table, parts = get_table(manifest.table), data_files_of(manifest, months)
    meta = _add_path_columns(table.empty(), manifest.version, Month(2000, 1))
    # Our strings have their dtype already; Dask's own conversion would only change it.
    with dask.config.set({"dataframe.convert-string": False}):
        if not parts:
            return dd.from_pandas(meta, npartitions=1)
        return dd.from_map(
            _read_data_file, parts, meta=meta, label=table.name, enforce_metadata=False,
            store=store.absolute(), table=table, version=manifest.version,
        )  # fmt: skip


def _read_data_file(
    record: DataFile, store: Store, table: Table, version: str, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a part; Dask says by `columns` which are asked for."""
    asked = [*table.names, *PATH_COLUMNS] if columns is None else list(columns)
    # Of a frame without columns the rows would be lost: one column stands for them.
    kept = [name for name in asked if name in table.names] or table.names[:1]
    rows = store.read_data_file(table.select(kept), version, record)
    return _add_path_columns(rows, version, record.key.month)[asked]


def _add_path_columns(rows: pd.DataFrame, version: str, month: Month) -> pd.DataFrame:
    names = pd.Categorical.from_codes([0] * len(rows), categories=[version])
    return rows.assign(version=names, year=month.year, month=month.month).astype(
        {"year": PATH_COLUMNS["year"], "month": PATH_COLUMNS["month"]}
    )
