"""Report the contents of monthly files, and values that differ from adjacent months."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toytip.core.tlc import FIELDS
from toytip.io.access import open_file
from toytip.sources.discovery import Source, SourceFile

INSPECTION_THREADS = 4
# A warning is given for a month with less than half or more than twice the rows of adjacent months,
# as in spring 2020.
USUAL_ROW_RATIOS = (0.5, 2.0)
ADJACENT_MONTHS = 2
MAX_OUT_OF_MONTH_SHARE = 0.01
# The newest of these columns in a file identifies the version of its schema.
SCHEMA_VERSIONS = (
    ("cbd_congestion_fee", "since 2025 (cbd_congestion_fee)"),
    ("Airport_fee", "since 2023 (Airport_fee)"),
    ("airport_fee", "since 2021 (airport_fee)"),
    ("congestion_surcharge", "since 2019 (congestion_surcharge)"),
)
OLDEST_SCHEMA_VERSION = "before 2019"


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """The contents of a monthly file."""

    month: str
    """Month of the file, for example 2023-01."""
    uri: str
    """Path or URI of the file."""
    rows: int
    """Number of rows."""
    bytes: int
    """Size of the file in bytes."""
    schema_version: str
    """Version of the TLC's schema, named by the year in which its newest column was added."""
    null_shares: dict[str, float]
    """Share of nulls in each column that has nulls, by column name."""
    out_of_month_share: float
    """Share of rows whose pickup is outside the month of the file."""
    adjacent_row_ratio: float | None
    """Number of rows, divided by the median number of rows of the two months before and the two
    months after. Null if the source has only one month."""
    warnings: tuple[str, ...]
    """Warnings about an unusual number of rows, or about many pickups in other months."""


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """The contents of a source."""

    taxi: str
    """`yellow` or `green`."""
    rows: int
    """Number of rows in all files."""
    files: tuple[FileReport, ...]
    """One report per monthly file, oldest first."""


def inspect_source(source: Source, on_rows_read: Callable[[int], None]) -> SourceReport:
    """Inspect every file of a source.

    `on_rows_read` receives the row count of each file. The function reads footers, pickup times,
    and columns for which the footer has no null count.
    """
    ratios = [_adjacent_row_ratio(source.files, index) for index in range(len(source.files))]

    def inspect(file: SourceFile, ratio: float | None) -> FileReport:
        report = _inspect_file(file, ratio)
        on_rows_read(report.rows)
        return report

    with ThreadPoolExecutor(INSPECTION_THREADS) as pool:
        reports = tuple(pool.map(inspect, source.files, ratios))
    return SourceReport(taxi=source.taxi, rows=source.rows, files=reports)


def _adjacent_row_ratio(files: tuple[SourceFile, ...], index: int) -> float | None:
    """Return the number of rows of a month, divided by the median number in adjacent months."""
    adjacent = [
        *files[max(index - ADJACENT_MONTHS, 0) : index],
        *files[index + 1 : index + 1 + ADJACENT_MONTHS],
    ]
    return files[index].rows / statistics.median(file.rows for file in adjacent) if adjacent else None


def _inspect_file(file: SourceFile, row_ratio: float | None) -> FileReport:
    with open_file(file.uri, file.storage_options) as stream:
        parquet = pq.ParquetFile(stream)
        names = parquet.schema_arrow.names
        columns = {field.name: name for field in FIELDS if (name := field.match(names))}
        nulls = {column: _null_share(parquet, column) for column in columns.values()}
        pickup = parquet.read([columns["pickup_at"]], use_threads=False).column(0)
    out_of_month_share = _rows_out_of_month(pickup, file) / file.rows
    return FileReport(
        month=str(file.month),
        uri=file.uri,
        rows=file.rows,
        bytes=file.bytes,
        schema_version=_schema_version(nulls),
        null_shares={name: round(share, 6) for name, share in nulls.items() if share},
        out_of_month_share=out_of_month_share,
        adjacent_row_ratio=None if row_ratio is None else round(row_ratio, 3),
        warnings=_warnings(row_ratio, out_of_month_share),
    )


def _schema_version(nulls: dict[str, float]) -> str:
    versions = (version for column, version in SCHEMA_VERSIONS if nulls.get(column, 1) < 1)
    return next(versions, OLDEST_SCHEMA_VERSION)


def _warnings(row_ratio: float | None, out_of_month_share: float) -> tuple[str, ...]:
    warnings = []
    if row_ratio is not None and not USUAL_ROW_RATIOS[0] <= row_ratio <= USUAL_ROW_RATIOS[1]:
        warnings.append(f"the file has {row_ratio:.2f} times as many rows as the adjacent months")
    if out_of_month_share > MAX_OUT_OF_MONTH_SHARE:
        warnings.append(f"{out_of_month_share:.1%} of the pickups are in other months")
    return tuple(warnings)


def _null_share(parquet: pq.ParquetFile, name: str) -> float:
    """Return the share of nulls in a column, from the footer if that has all null counts."""
    metadata = parquet.metadata
    index = parquet.schema_arrow.names.index(name)
    chunks = [metadata.row_group(group).column(index) for group in range(metadata.num_row_groups)]
    if all(chunk.is_stats_set and chunk.statistics.has_null_count for chunk in chunks):
        return float(sum(chunk.statistics.null_count for chunk in chunks) / metadata.num_rows)
    return float(parquet.read([name], use_threads=False).column(0).null_count / metadata.num_rows)


def _rows_out_of_month(pickup: pa.ChunkedArray, file: SourceFile) -> int:
    start, stop = (pa.scalar(time, pickup.type) for time in (file.month.start, file.month.next.start))
    inside = pc.and_(pc.greater_equal(pickup, start), pc.less(pickup, stop))
    return len(pickup) - int(pc.sum(inside).as_py() or 0)
