"""Find the months of the rows of a file: from Parquet statistics, a sample, or all times."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.partitions import MonthWindow
from toytip.datasets.registry import match_dataset
from toytip.sources.reader import BATCH_ROWS, column_statistics
from toytip.sources.source import RowBlock, SourceFile
from toytip.sources.windows import month_number, month_of_number, row_months

# A month of the path counts if at least this share of the rows is in the month.
MIN_NAMED_MONTH_SHARE = 0.5
# A month counts if it has this share of the rows of the largest month, or of a month next to it.
MIN_MONTH_SHARE = 0.01
SAMPLE_ROWS = 4_096
SAMPLED_ROW_GROUPS = 3
# Statistics of zoned times differ from the local time by hours.
STATISTICS_TOLERANCE = dt.timedelta(days=1)

MonthCounts = Counter[int]
"""Number of rows by number of the month. Missing times have a negative number."""


class CountedBlock(NamedTuple):
    """Consecutive rows of a file, counted by month."""

    start: int
    stop: int
    counts: MonthCounts


def count_all(blocks: Iterable[CountedBlock]) -> MonthCounts:
    """Return the number of rows per month in all blocks."""
    total = MonthCounts()
    for block in blocks:
        total.update(block.counts)
    return total


def share_of_month(counts: MonthCounts, month: Month) -> float | None:
    """Return the share of the known times that are in a month, or None if none is known."""
    rows_with_time = sum(rows for number, rows in counts.items() if number >= 0)
    return counts[month_number(month)] / rows_with_time if rows_with_time else None


def statistics_share(parquet: pq.ParquetFile, month: Month, dataset: Dataset | None = None) -> float | None:
    """Return 1.0 or 0.0 if the statistics show that all or no rows are in a month, else None."""
    spans = list(_time_spans(parquet, dataset))
    start, stop = month.start - STATISTICS_TOLERANCE, month.next.start + STATISTICS_TOLERANCE
    if all(span is not None and start <= span[0] and span[1] < stop for span in spans):
        return 1.0
    if all(span is not None and (span[1] < start or span[0] >= stop) for span in spans):
        return 0.0
    return None


def time_column(columns: Sequence[str], dataset: Dataset | None = None) -> str:
    """Return the name of the column with the times of the rows in a file with these columns."""
    dataset = match_dataset(columns, dataset)
    return dataset.field_names.match(columns)[dataset.time_column]


def _time_spans(
    parquet: pq.ParquetFile, dataset: Dataset | None
) -> Iterator[tuple[dt.datetime, dt.datetime] | None]:
    """Yield the first and the last time of each row group, or None without statistics."""
    column = time_column(parquet.schema_arrow.names, dataset)
    yield from map(_span, column_statistics(parquet.metadata, column))


def _span(statistics: Any) -> tuple[dt.datetime, dt.datetime] | None:
    if statistics is None or not statistics.has_min_max:
        return None
    try:
        first, last = statistics.min, statistics.max
    except (OverflowError, ValueError, pa.ArrowException):  # a time that Python does not have
        return None
    if not (isinstance(first, dt.datetime) and isinstance(last, dt.datetime)):
        return None
    return first.replace(tzinfo=None), last.replace(tzinfo=None)


def sample_months(parquet: pq.ParquetFile, uri: str, dataset: Dataset | None = None) -> MonthCounts:
    """Count the months of the first rows of a few row groups."""
    groups = np.linspace(0, parquet.num_row_groups - 1, SAMPLED_ROW_GROUPS).round().astype(int)
    counts = MonthCounts()
    for group in dict.fromkeys(groups.tolist()):
        for batch in _time_batches(parquet, group, SAMPLE_ROWS, dataset):
            counts.update(_count(batch, uri, dataset))
            break
    return counts


def count_months(
    parquet: pq.ParquetFile, uri: str, dataset: Dataset | None = None
) -> tuple[CountedBlock, ...]:
    """Count the months of all rows of a file.

    A row group whose statistics are within one month is not read.
    """
    blocks, position = [], 0
    for group, span in enumerate(_time_spans(parquet, dataset)):
        rows = parquet.metadata.row_group(group).num_rows
        if span is not None and _is_plain(parquet, group, dataset) and _month(span[0]) == _month(span[1]):
            counts = MonthCounts({month_number(_month(span[0])): rows})
            blocks.append(CountedBlock(position, position + rows, counts))
        else:
            batches = _time_batches(parquet, group, BATCH_ROWS, dataset)
            blocks += _count_batches(batches, position, uri, dataset)
        position += rows
    return tuple(blocks)


def _is_plain(parquet: pq.ParquetFile, group: int, dataset: Dataset | None) -> bool:
    """Return whether the times of a row group have no nulls and no time zone."""
    column = time_column(parquet.schema_arrow.names, dataset)
    statistics = column_statistics(parquet.metadata, column)[group]
    zone = getattr(parquet.schema_arrow.field(column).type, "tz", None)
    has_no_nulls = statistics is not None and statistics.has_null_count and statistics.null_count == 0
    return has_no_nulls and zone is None


def _month(time: dt.datetime) -> Month:
    return Month(time.year, time.month)


def _time_batches(
    parquet: pq.ParquetFile, group: int, rows: int, dataset: Dataset | None
) -> Iterator[pa.RecordBatch]:
    column = time_column(parquet.schema_arrow.names, dataset)
    batches: Iterator[pa.RecordBatch] = parquet.iter_batches(
        rows, row_groups=[group], columns=[column], use_threads=False
    )
    return batches


def _count_batches(
    batches: Iterable[pa.RecordBatch], position: int, uri: str, dataset: Dataset | None
) -> Iterator[CountedBlock]:
    for batch in batches:
        yield CountedBlock(position, position + batch.num_rows, _count(batch, uri, dataset))
        position += batch.num_rows


def _count(batch: pa.RecordBatch, uri: str, dataset: Dataset | None) -> MonthCounts:
    return count_numbers(row_months(pa.Table.from_batches([batch]), uri, dataset))


def count_numbers(numbers: Any) -> MonthCounts:
    """Return the number of rows per month, given the number of the month of each row."""
    values, rows = np.unique(np.asarray(numbers), return_counts=True)
    return MonthCounts(dict(zip(values.tolist(), rows.tolist(), strict=True)))


def months_of_rows(counts: MonthCounts) -> tuple[Month, ...]:
    """Return the months that count, oldest first. The other rows are strays.

    A month counts if it has at least 1 % of the rows of the largest month, or of an adjacent month
    that counts.

    >>> rows = {Month(2022, 12): 9, Month(2023, 1): 5_000, Month(2023, 2): 8, Month(2023, 3): 900}
    >>> counts = MonthCounts({month_number(month): count for month, count in rows.items()})
    >>> [str(month) for month in months_of_rows(counts)]
    ['2023-01', '2023-03']
    """
    rows_by_month = {number: rows for number, rows in counts.items() if number >= 12 and rows}
    largest = max(rows_by_month.values(), default=0)
    accepted = {number for number, rows in rows_by_month.items() if rows >= MIN_MONTH_SHARE * largest}
    pending = list(accepted)
    while pending:
        number = pending.pop()
        for adjacent in (number - 1, number + 1):
            is_new = adjacent in rows_by_month and adjacent not in accepted
            if is_new and rows_by_month[adjacent] >= MIN_MONTH_SHARE * rows_by_month[number]:
                accepted.add(adjacent)
                pending.append(adjacent)
    return tuple(map(month_of_number, sorted(accepted)))


def windows_of(months: Sequence[Month]) -> dict[Month, MonthWindow]:
    """Return the window of each month: every row counts to exactly one month.

    >>> windows_of([Month(2023, 1), Month(2023, 3)])[Month(2023, 3)]
    MonthWindow(start=Month(year=2023, month=3), stop=None)
    """
    bounds: list[Month | None] = [None, *months[1:], None] if months else []
    return dict(zip(months, (MonthWindow(*bound) for bound in pairwise(bounds)), strict=True))


def split_by_month(
    file: SourceFile, blocks: Sequence[CountedBlock], windows: Mapping[Month, MonthWindow]
) -> Iterator[SourceFile]:
    """Yield a file once per month that has rows in the file."""
    for month, window in windows.items():
        month_blocks = tuple(
            RowBlock(block.start, block.stop, rows)
            for block in blocks
            if (rows := _rows_in_window(block.counts, window))
        )
        rows = sum(block.rows for block in month_blocks)
        if rows and rows == file.rows:
            yield replace(file, month=month)
        elif rows:
            yield replace(file, month=month, rows=rows, window=window, blocks=month_blocks)


def _rows_in_window(counts: MonthCounts, window: MonthWindow) -> int:
    start = month_number(window.start) if window.start else None
    stop = month_number(window.stop) if window.stop else None
    return sum(
        rows
        for number, rows in counts.items()
        if (start is None or number >= start) and (stop is None or number < stop)
    )
