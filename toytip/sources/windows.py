"""Select the rows of a month in a file with the rows of several months."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from toytip.core.arrays import BoolArray, Int64Array
from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.partitions import MonthWindow
from toytip.core.times import month_index
from toytip.datasets.registry import match_dataset
from toytip.stages.conform import read_columns


def row_months(table: pa.Table, uri: str, dataset: Dataset | None = None) -> Int64Array:
    """Return the month of each row, as the number of months since the year 0.

    A missing or unreadable time has a negative number. Raises SchemaError if the column has a type
    that cannot be converted. The message contains the URI.
    """
    dataset = match_dataset(table.column_names, dataset)
    time = dataset.time_column
    column = dataset.field_names.match(table.column_names)[time]
    return month_index(read_columns(table.select([column]), uri, dataset)[time].array)


def month_number(month: Month) -> int:
    """Return the number of a month, as in `row_months`.

    >>> month_number(Month(2023, 1)) - 2023 * 12
    0
    """
    return month.year * 12 + month.month - 1


def month_of_number(number: int) -> Month:
    """Return the month with a number.

    >>> month_of_number(month_number(Month(2023, 12)))
    Month(year=2023, month=12)
    """
    return Month(number // 12, number % 12 + 1)


def in_window(months: Int64Array, window: MonthWindow) -> BoolArray:
    """Return whether each row counts to the month of a window."""
    inside = np.ones(len(months), bool)
    if window.start is not None:
        inside &= months >= month_number(window.start)
    if window.stop is not None:
        inside &= months < month_number(window.stop)
    return inside


def rows_in_window(
    table: pa.Table, uri: str, window: MonthWindow, dataset: Dataset | None = None
) -> pa.Table:
    """Return the rows of a file whose time counts to the month of a window."""
    return table.filter(pa.array(in_window(row_months(table, uri, dataset), window)))
