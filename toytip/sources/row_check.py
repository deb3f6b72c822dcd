"""Convert and clean the rows of a month as a run does, and count the rejected rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import OUT_OF_MONTH
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tables import RAW_TRIPS, TRIPS
from toytip.monitoring.month_counts import MonthSummary
from toytip.sources.reader import read_partition, row_in_file
from toytip.sources.source import Source
from toytip.stages import clean, conform
from toytip.stages.conform import UnreadableValues
from toytip.stages.featurize import featurize
from toytip.stages.profile import GOLDEN_RATIO, merge_profiles, profile

UInt64Array = npt.NDArray[np.uint64]
# A thread holds the rows of one such part of a month.
CHECKED_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class RowCheck:
    """The result of converting and cleaning all rows of a month."""

    rejects: dict[str, int]
    """Number of rejected rows by reason, in the order of the rules."""
    summary: MonthSummary
    """The rows of the month as the data check of a run sees them."""
    out_of_month: int
    """Number of rows whose time is outside the month, or missing."""
    repeated: int
    """Number of kept rows that are equal to an earlier row of the month in all columns."""
    null_shares: dict[str, float]
    """Share of missing values by name of the column in the files."""
    unreadable: dict[str, tuple[UnreadableValues, ...]]
    """Columns with values that cannot be read, by path of the file."""


class _Counts:
    """Counts of the rows of a month, which grow part by part."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.rules = Counter[int]()
        self.histograms: list[pd.DataFrame] = []
        self.hashes: list[UInt64Array] = []
        self.missing = Counter[str]()
        self.present = Counter[tuple[str, str]]()
        self.out_of_month = 0
        self.unreadable: dict[tuple[str, str], UnreadableValues] = {}
        """Unreadable values by path of the file and name of the column."""

    def add(self, part: SourcePartition) -> None:
        raw = read_partition(part, self.dataset)
        dataset = self.dataset
        names = dataset.field_names.match(raw.column_names)
        by_field = conform.read_columns(raw, part.uri, dataset)
        columns = conform.complete_columns(by_field, part, dataset)
        trips = dataset.table(RAW_TRIPS).validate(pd.DataFrame(columns))
        rule_index = clean.first_broken_rule(trips, dataset)
        self.rules.update(rule_index.tolist())
        accepted = clean.accepted_trips(trips, rule_index, dataset)
        self.histograms.append(profile(featurize(accepted, dataset), dataset))
        self.hashes.append(hash_trips(accepted, dataset))
        self.out_of_month += int(np.count_nonzero(dataset.rule(OUT_OF_MONTH).rejects(columns)))
        unreadable = conform.find_unreadable(raw, by_field, dataset)
        for field, column in by_field.items():
            present = int(np.count_nonzero(pd.notna(column.array)))
            present += unreadable[field].count if field in unreadable else 0
            self.missing[names[field]] += len(raw) - present
            self.present[part.uri, names[field]] += present
        for values in unreadable.values():
            key = part.uri, values.column
            first = self.unreadable.get(key)
            if first is None:
                (rows,) = part.file_rows
                first = replace(values, count=0, row=row_in_file(rows, values.row, dataset))
            self.unreadable[key] = replace(first, count=first.count + values.count)


def check_rows(source: Source, month: Month, dataset: Dataset) -> RowCheck:
    """Return the numbers of rejected, missing and unreadable values of a month.

    Raises SourceError if the data is corrupt, and SchemaError if a column cannot be converted.
    """
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
    rejects = {reason: rules[index] for index, reason in enumerate(dataset.reject_reasons) if rules[index]}
    histograms = merge_profiles(counts.histograms)
    return RowCheck(
        rejects=rejects,
        summary=MonthSummary(histograms=histograms, rows=of_month.rows, rejects=rejects),
        out_of_month=counts.out_of_month,
        repeated=_count_repeated(counts.hashes),
        null_shares={column: count / of_month.rows for column, count in counts.missing.items()},
        unreadable=unreadable,
    )


def hash_trips(trips: pd.DataFrame, dataset: Dataset) -> UInt64Array:
    """Return a hash of each trip, which is equal for trips that are equal in all columns.

    The ID, which is the number of the row, does not count.
    """
    mixed = np.zeros(len(trips), np.uint64)
    for name in dataset.table(TRIPS).names:
        if name != "trip_id":
            values = trips[name].to_numpy()
            mixed ^= values.view(np.uint64 if values.itemsize == 8 else np.uint32)
            mixed *= GOLDEN_RATIO
            mixed ^= mixed >> np.uint64(32)
    return mixed


def _count_repeated(hashes: list[UInt64Array]) -> int:
    ordered = np.concatenate(hashes)
    ordered.sort()
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))
