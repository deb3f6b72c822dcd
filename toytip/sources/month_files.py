"""The month of each file of a source, decided from all of its files together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toytip.core.months import Month
from toytip.sources import month_rows
from toytip.sources.column_check import EmptyColumn
from toytip.sources.month_rows import CountedBlock, MonthCounts
from toytip.sources.source import SourceFile
from toytip.sources.windows import month_number


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A file that can be read, and the months of its rows."""

    file: SourceFile
    """The file, with the month of its path."""
    is_certain: bool = True
    """Whether the path can only mean the month of the file, if it tells the month."""
    blocks: tuple[CountedBlock, ...] = ()
    """Rows by month, if the path does not tell the month."""
    empty: tuple[EmptyColumn, ...] = ()
    """Required columns that contain only nulls, and that can be null in the kept rows."""


def assign_months(checked: Sequence[CheckedFile], selected: Sequence[Month]) -> list[SourceFile]:
    """Return the files once per month of their rows.

    The months of the files without a month in their path are decided from all their rows together,
    so that a few stray rows in a small file are not a month.
    """
    undated = [item for item in checked if item.blocks]
    counts = month_rows.count_all(block for item in undated for block in item.blocks)
    windows = month_rows.windows_of(month_rows.months_of_rows(counts))
    files = _without_stray_months([item for item in checked if not item.blocks], counts, selected)
    for item in undated:
        files += month_rows.split_by_month(item.file, item.blocks, windows)
    return files


def _without_stray_months(
    dated: Sequence[CheckedFile], counts: MonthCounts, selected: Sequence[Month]
) -> list[SourceFile]:
    """Return the files of dates with the months that count, given the rows of all other files.

    Stray pickups have files of their own if there is a file per date, for example in a folder
    `date=2009-01-01`. They belong to the month before, or to the first month, and are rejected.
    """
    total = MonthCounts(counts)
    for item in dated:
        total[month_number(item.file.month)] += item.file.rows
    certain = {item.file.month for item in dated if item.is_certain}
    months = sorted({*month_rows.months_of_rows(total), *certain, *selected})
    return [
        replace(
            item.file, month=max((month for month in months if month <= item.file.month), default=months[0])
        )
        for item in dated
    ]
