"""Report the contents of each month of a source, and values that differ from adjacent months."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow.parquet as pq

from toytip.core.months import Month
from toytip.core.redact import mask_credentials
from toytip.core.tlc import match_fields
from toytip.io.access import open_file
from toytip.sources.csv_layout import read_csv_content
from toytip.sources.month_rows import MonthCounts, count_all, count_months
from toytip.sources.source import Source, SourceFile
from toytip.sources.windows import month_number

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
class MonthReport:
    """The contents of the files of a month."""

    month: str
    """Month of the rows, for example 2023-01."""
    uris: tuple[str, ...]
    """Paths or URIs of the files with rows of the month."""
    rows: int
    """Number of rows that belong to the month."""
    bytes: int
    """Size of the files in bytes."""
    schema_version: str
    """Version of the TLC's schema, named by the year in which its newest column was added."""
    null_shares: dict[str, float]
    """Share of nulls in each column that has nulls, by column name, in all rows of the files."""
    out_of_month_share: float
    """Share of the rows whose pickup is outside the month."""
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
    """Number of rows in all months."""
    months: tuple[MonthReport, ...]
    """One report per month, oldest first."""
    warnings: tuple[str, ...]
    """Warnings about files that probably have the same trips."""


class _FileCounts(NamedTuple):
    """Counts of a file, for one month."""

    rows: int
    """Number of all rows of the file."""
    nulls: dict[str, int]
    """Number of nulls by column."""
    out_of_month: int
    """Number of rows of the month whose pickup is outside the month."""


def inspect_source(source: Source, on_rows_read: Callable[[int], None]) -> SourceReport:
    """Inspect every month of a source.

    `on_rows_read` receives the row count of each month. The function reads footers, pickup times,
    and columns for which the footer has no null count. It reads all columns of CSV files.
    """

    def inspect(month: Month) -> MonthReport:
        report = _inspect_month(source, month)
        on_rows_read(report.rows)
        return report

    with ThreadPoolExecutor(INSPECTION_THREADS) as pool:
        reports = tuple(pool.map(inspect, source.months))
    return SourceReport(taxi=source.taxi, rows=source.rows, months=reports, warnings=source.warnings)


def unusual_row_counts(source: Source) -> dict[Month, str]:
    """Return a warning for each month with many fewer or more rows than the adjacent months."""
    ratios = {month: _adjacent_row_ratio(source, month) for month in source.months}
    return {
        month: f"it has {ratio:.2f} times as many rows as the adjacent months"
        for month, ratio in ratios.items()
        if ratio is not None and not USUAL_ROW_RATIOS[0] <= ratio <= USUAL_ROW_RATIOS[1]
    }


def _adjacent_row_ratio(source: Source, month: Month) -> float | None:
    """Return the number of rows of a month, divided by the median number in adjacent months."""
    rows = [sum(file.rows for file in files) for files in source.by_month.values()]
    index = source.months.index(month)
    adjacent = [
        *rows[max(index - ADJACENT_MONTHS, 0) : index],
        *rows[index + 1 : index + 1 + ADJACENT_MONTHS],
    ]
    return rows[index] / statistics.median(adjacent) if adjacent else None


def _inspect_month(source: Source, month: Month) -> MonthReport:
    files = source.by_month[month]
    counts = [_count_csv(file) if file.csv else _count_parquet(file) for file in files]
    rows, all_rows = sum(file.rows for file in files), sum(count.rows for count in counts)
    nulls = Counter[str]()
    for count in counts:
        nulls.update(count.nulls)
    null_shares = {name: count / all_rows for name, count in nulls.items()}
    out_of_month_share = sum(count.out_of_month for count in counts) / rows
    row_ratio, unusual = _adjacent_row_ratio(source, month), unusual_row_counts(source).get(month)
    outside = f"{out_of_month_share:.1%} of the pickups are in other months"
    is_outside = out_of_month_share > MAX_OUT_OF_MONTH_SHARE
    return MonthReport(
        month=str(month),
        uris=tuple(mask_credentials(file.uri) for file in files),
        rows=rows,
        bytes=sum(file.bytes for file in files),
        schema_version=_schema_version(null_shares),
        null_shares={name: round(share, 6) for name, share in null_shares.items() if share},
        out_of_month_share=out_of_month_share,
        adjacent_row_ratio=None if row_ratio is None else round(row_ratio, 3),
        warnings=(*([unusual] if unusual else []), *([outside] if is_outside else [])),
    )


def _schema_version(nulls: Mapping[str, float]) -> str:
    versions = (version for column, version in SCHEMA_VERSIONS if nulls.get(column, 1) < 1)
    return next(versions, OLDEST_SCHEMA_VERSION)


def _count_parquet(file: SourceFile) -> _FileCounts:
    with open_file(file.uri, file.storage_options) as stream:
        parquet = pq.ParquetFile(stream)
        columns = match_fields(parquet.schema_arrow.names).values()
        nulls = {column: _null_count(parquet, column) for column in columns}
        counts = count_all(count_months(parquet, file.uri))
        return _FileCounts(parquet.metadata.num_rows, nulls, _out_of_month(file, counts))


def _count_csv(file: SourceFile) -> _FileCounts:
    with open_file(file.uri, file.storage_options) as stream:
        content = read_csv_content(stream, file.uri)
    return _FileCounts(content.rows, content.nulls, _out_of_month(file, count_all(content.blocks)))


def _out_of_month(file: SourceFile, counts: MonthCounts) -> int:
    return file.rows - counts[month_number(file.month)]


def _null_count(parquet: pq.ParquetFile, name: str) -> int:
    """Return the number of nulls in a column, from the footer if that has all null counts."""
    metadata = parquet.metadata
    index = parquet.schema_arrow.names.index(name)
    chunks = [metadata.row_group(group).column(index) for group in range(metadata.num_row_groups)]
    if all(chunk.is_stats_set and chunk.statistics.has_null_count for chunk in chunks):
        return int(sum(chunk.statistics.null_count for chunk in chunks))
    return int(parquet.read([name], use_threads=False).column(0).null_count)
