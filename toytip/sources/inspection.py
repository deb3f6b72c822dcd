"""Report the contents of each month of a source, and values that differ from adjacent months."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.redact import mask_credentials
from toytip.core.text import verb
from toytip.sources.row_check import RowCheck, check_rows
from toytip.sources.source import Source
from toytip.stages.conform import UnreadableValues, label_line, label_row

INSPECTION_THREADS = 4
# A warning is given for a month with less than half or more than twice the rows of adjacent months,
# as in spring 2020.
USUAL_ROW_RATIOS = (0.5, 2.0)
ADJACENT_MONTHS = 2
MAX_OUT_OF_MONTH_SHARE = 0.01
MAX_REJECTED_SHARE = 0.5
MAX_REPEATED_SHARE = 0.01


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
    """Share of nulls in each column that has nulls, by column name."""
    out_of_month_share: float
    """Share of the rows whose time is outside the month."""
    adjacent_row_ratio: float | None
    """Number of rows, divided by the median number of rows of the two months before and the two
    months after. Null if the source has only one month."""
    rejects: dict[str, int]
    """Number of rows that a run rejects, by reason."""
    repeated_rows: int
    """Number of rows that a run keeps and that are equal to an earlier row of the month."""
    unreadable_values: tuple[UnreadableValues, ...]
    """Columns with values that cannot be read. A run rejects their rows as `unreadable_value`."""
    notes: tuple[str, ...]
    """Conversions of columns whose meaning depends on a rule."""
    warnings: tuple[str, ...]
    """Warnings about an unusual number of rows, many rows of other months, many rejected rows,
    repeated rows, unreadable values, or a missing column that the TLC publishes."""


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """The contents of a source."""

    taxi: str
    """`yellow`, `green` or `fhvhv`."""
    rows: int
    """Number of rows in all months."""
    months: tuple[MonthReport, ...]
    """One report per month, oldest first."""
    warnings: tuple[str, ...]
    """Warnings about files that probably have the same trips, and about a segment without trips."""
    error: str | None = None
    """Error of `toytip run` with the same settings, if it cannot train on the source. Null if it
    can."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The report on a source, and the checks of its months."""

    report: SourceReport
    checks: dict[Month, RowCheck]
    """Result of converting and cleaning all rows of each month."""


def inspect_source(
    source: Source, on_rows_read: Callable[[int], None], dataset: Dataset | None = None
) -> Inspection:
    """Inspect every month of a source: convert and clean all of its rows, as a run does.

    `on_rows_read` receives the row count of each month. `dataset` is the data set with the rules
    and features of a project. None stands for the built-in data set of the source.
    """
    dataset = dataset or source.dataset

    def inspect(month: Month) -> RowCheck:
        checked = check_rows(source, month, dataset)
        on_rows_read(checked.summary.rows)
        return checked

    with ThreadPoolExecutor(INSPECTION_THREADS) as pool:
        checks = dict(zip(source.months, pool.map(inspect, source.months), strict=True))
    months = tuple(_describe_month(source, month, checked) for month, checked in checks.items())
    report = SourceReport(taxi=source.taxi, rows=source.rows, months=months, warnings=source.warnings)
    return Inspection(report=report, checks=checks)


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


def _describe_month(source: Source, month: Month, checked: RowCheck) -> MonthReport:
    files, rows = source.by_month[month], checked.summary.rows
    row_ratio = _adjacent_row_ratio(source, month)
    return MonthReport(
        month=str(month),
        uris=tuple(mask_credentials(file.uri) for file in files),
        rows=rows,
        bytes=sum(file.bytes for file in files),
        schema_version=source.dataset.layout.schema_version(
            [name for name, share in checked.null_shares.items() if share < 1]
        ),
        null_shares={name: round(share, 6) for name, share in checked.null_shares.items() if share},
        out_of_month_share=checked.out_of_month / rows,
        adjacent_row_ratio=None if row_ratio is None else round(row_ratio, 3),
        rejects=checked.rejects,
        repeated_rows=checked.repeated,
        unreadable_values=tuple(chain.from_iterable(checked.unreadable.values())),
        notes=tuple(dict.fromkeys(note for file in files for note in file.notes)),
        warnings=tuple(_warnings(source, month, checked)),
    )


def _warnings(source: Source, month: Month, checked: RowCheck) -> Iterator[str]:
    files = source.by_month[month]
    if unusual := unusual_row_counts(source).get(month):
        yield unusual
    rows = sum(file.rows for file in files)
    out_of_month_share = checked.out_of_month / rows
    if out_of_month_share > MAX_OUT_OF_MONTH_SHARE:
        yield f"{out_of_month_share:.1%} of the rows are in other months"
    if (rejected := sum(checked.rejects.values())) > MAX_REJECTED_SHARE * rows:
        reason = max(checked.rejects, key=checked.rejects.__getitem__)
        scope = "all rows of this month, " if rejected == rows else ""
        yield f"a run rejects {scope}{checked.rejects[reason] / rows:.1%} of the rows as {reason}"
    if checked.repeated > MAX_REPEATED_SHARE * checked.summary.kept_rows:
        yield (
            f"{checked.repeated:,} of the {checked.summary.kept_rows:,} rows that a run keeps {verb(checked.repeated, 'repeats', 'repeat')} an "
            "earlier row, for example because a file was appended to itself"
        )
    for uri, unreadable in checked.unreadable.items():
        file_name = f"{mask_credentials(uri)}: " if len(files) > 1 else ""
        is_csv = any(file.csv for file in files if file.uri == uri)
        label = label_line if is_csv else label_row
        yield from (file_name + values.describe(label) for values in unreadable)
    missing = dict.fromkeys(name for file in files for name in file.missing_columns)
    for field in map(source.dataset.fields_by_name.__getitem__, missing):
        is_published = not field.taxis or source.taxi in field.taxis
        if is_published and field.since is not None and month.year > field.since:
            yield f"column {field.name} is missing, and the TLC publishes it since {field.since}"
