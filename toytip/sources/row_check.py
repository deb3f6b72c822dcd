"""Convert and clean the rows of a month as a run does, and count the rejected rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import OUT_OF_MONTH
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.registry import dataset_of
from toytip.sources.reader import read_partition
from toytip.sources.source import Source
from toytip.stages import clean, conform
from toytip.stages.conform import UnreadableValues

# A thread holds the rows of one such part of a month.
CHECKED_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class RowCheck:
    """The result of converting and cleaning all rows of a month."""

    rejects: dict[str, int]
    """Number of rejected rows by reason, in the order of the rules."""
    out_of_month: int
    """Number of rows whose pickup is outside the month, or missing."""
    null_shares: dict[str, float]
    """Share of missing values by name of the column in the files."""
    unreadable: dict[str, tuple[UnreadableValues, ...]]
    """Columns with values that cannot be read, by path of the file."""


class _Counts:
    """Counts of the rows of a month, which grow part by part."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.rules = Counter[int]()
        self.missing = Counter[str]()
        self.present = Counter[tuple[str, str]]()
        self.out_of_month = 0
        self.unreadable: dict[tuple[str, str], UnreadableValues] = {}
        """Unreadable values by path of the file and name of the column."""

    def add(self, part: SourcePartition) -> None:
        raw = read_partition(part)
        dataset = self.dataset
        names = dataset.field_names.match(raw.column_names)
        by_field = conform.read_columns(raw, part.uri, dataset)
        columns = conform.complete_columns(by_field, part, dataset)
        self.rules.update(clean.rule_indices(columns, dataset).tolist())
        self.out_of_month += int(np.count_nonzero(dataset.rule(OUT_OF_MONTH).rejects(columns)))
        unreadable = conform.find_unreadable(raw, by_field, dataset)
        for field, column in by_field.items():
            present = int(np.count_nonzero(pd.notna(column.array)))
            present += unreadable[field].count if field in unreadable else 0
            self.missing[names[field]] += len(raw) - present
            self.present[part.uri, names[field]] += present
        for values in unreadable.values():
            key = part.uri, values.column
            first = self.unreadable.get(key, replace(values, count=0, row=_first_row(part) + values.row))
            self.unreadable[key] = replace(first, count=first.count + values.count)


def check_rows(source: Source, month: Month) -> RowCheck:
    """Return the numbers of rejected, missing and unreadable values of a month.

    Raises SourceError if the data is corrupt, and SchemaError if a column cannot be converted.
    """
    dataset = dataset_of(source.taxi)
    counts = _Counts(dataset)
    of_month = replace(source, files=source.by_month[month])
    for partition in of_month.partitions(CHECKED_ROWS):
        for part in partition.by_file():
            counts.add(part)
    unreadable: dict[str, tuple[UnreadableValues, ...]] = {}
    for (uri, column), values in counts.unreadable.items():
        of_file = replace(values, present=counts.present[uri, column])
        unreadable[uri] = (*unreadable.get(uri, ()), of_file)
    rules = counts.rules
    return RowCheck(
        rejects={reason: rules[index] for index, reason in enumerate(dataset.reject_reasons) if rules[index]},
        out_of_month=counts.out_of_month,
        null_shares={column: count / of_month.rows for column, count in counts.missing.items()},
        unreadable=unreadable,
    )


def _first_row(part: SourcePartition) -> int:
    """Return the number of the first row: in its file, or in the month if the file has several."""
    (rows,) = part.file_rows
    return rows.start if rows.window is None else part.start
