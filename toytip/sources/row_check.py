"""Convert and clean the rows of a source file as a run does, and count the rejected rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toytip.core.tlc import match_fields
from toytip.sources.discovery import Source, SourceFile
from toytip.sources.reader import read_partition
from toytip.stages import clean, conform
from toytip.stages.conform import UnreadableValues

# A thread holds the rows of one such part of a file.
CHECKED_ROWS = 250_000


@dataclass(frozen=True, kw_only=True)
class RowCheck:
    """The result of converting and cleaning all rows of a file."""

    rejects: dict[str, int]
    """Number of rejected rows by reason, in the order of the rules."""
    out_of_month: int
    """Number of rows whose pickup is outside the month of the file, or missing."""
    null_shares: dict[str, float]
    """Share of missing values by name of the column in the file."""
    unreadable: tuple[UnreadableValues, ...]
    """Columns with values that cannot be read."""


def check_rows(file: SourceFile) -> RowCheck:
    """Return the numbers of rejected, missing and unreadable values of a file.

    Raises SourceError if the data is corrupt, and SchemaError if a column cannot be converted.
    """
    rules, missing, out_of_month = Counter[int](), Counter[str](), 0
    unreadable: dict[str, UnreadableValues] = {}
    names: dict[str, str] = {}
    for partition in Source(taxi=file.taxi, files=(file,)).partitions(CHECKED_ROWS):
        raw = read_partition(partition)
        names = match_fields(raw.column_names)
        by_field = conform.read_columns(raw, partition.uri)
        columns = conform.complete_columns(by_field, partition)
        rules.update(clean.rule_indices(columns).tolist())
        out_of_month += int(np.count_nonzero(clean.out_of_month(columns)))
        of_partition = conform.find_unreadable(raw, by_field)
        for name, column in by_field.items():
            absent = int(np.count_nonzero(pd.isna(column.array)))
            missing[name] += absent - (of_partition[name].count if name in of_partition else 0)
        for name, values in of_partition.items():
            first = unreadable.get(name, replace(values, count=0, row=values.row + partition.start))
            unreadable[name] = replace(first, count=first.count + values.count)
    return RowCheck(
        rejects={reason: rules[index] for index, reason in enumerate(clean.REJECT_REASONS) if rules[index]},
        out_of_month=out_of_month,
        null_shares={column: missing[name] / file.rows for name, column in names.items()},
        unreadable=tuple(
            replace(values, present=file.rows - missing[name]) for name, values in unreadable.items()
        ),
    )
