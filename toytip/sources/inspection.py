"""Report the contents of monthly files, and values that differ from adjacent months."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toytip.core.tlc import FIELDS_BY_NAME
from toytip.sources.discovery import Source, SourceFile
from toytip.sources.row_check import RowCheck, check_rows
from toytip.stages.conform import UnreadableValues

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
    rejects: dict[str, int]
    """Number of rows that a run rejects, by reason."""
    unreadable_values: tuple[UnreadableValues, ...]
    """Columns with values that cannot be read. A run rejects their rows as `unreadable_value`."""
    notes: tuple[str, ...]
    """Conversions of columns whose meaning depends on a rule."""
    warnings: tuple[str, ...]
    """Warnings about an unusual number of rows, many pickups in other months, unreadable values, or
    a missing column that the TLC publishes."""


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
    """Inspect every file of a source: convert and clean all of its rows, as a run does.

    `on_rows_read` receives the row count of each file.
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
    checked = check_rows(file)
    out_of_month_share = checked.out_of_month / file.rows
    return FileReport(
        month=str(file.month),
        uri=file.uri,
        rows=file.rows,
        bytes=file.bytes,
        schema_version=_schema_version(checked.null_shares),
        null_shares={name: round(share, 6) for name, share in checked.null_shares.items() if share},
        out_of_month_share=out_of_month_share,
        adjacent_row_ratio=None if row_ratio is None else round(row_ratio, 3),
        rejects=checked.rejects,
        unreadable_values=checked.unreadable,
        notes=file.notes,
        warnings=_warnings(file, row_ratio, out_of_month_share, checked),
    )


def _schema_version(nulls: dict[str, float]) -> str:
    versions = (version for column, version in SCHEMA_VERSIONS if nulls.get(column, 1) < 1)
    return next(versions, OLDEST_SCHEMA_VERSION)


def _warnings(
    file: SourceFile, row_ratio: float | None, out_of_month_share: float, checked: RowCheck
) -> tuple[str, ...]:
    warnings = []
    if row_ratio is not None and not USUAL_ROW_RATIOS[0] <= row_ratio <= USUAL_ROW_RATIOS[1]:
        warnings.append(f"the file has {row_ratio:.2f} times as many rows as the adjacent months")
    if out_of_month_share > MAX_OUT_OF_MONTH_SHARE:
        warnings.append(f"{out_of_month_share:.1%} of the pickups are in other months")
    warnings += [values.describe() for values in checked.unreadable]
    for field in (FIELDS_BY_NAME[name] for name in file.missing_columns):
        if file.taxi in field.taxis and field.since is not None and file.month.year > field.since:
            warnings.append(f"column {field.name} is missing, and the TLC publishes it since {field.since}")
    return tuple(warnings)
