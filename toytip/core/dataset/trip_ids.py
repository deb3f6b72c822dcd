"""Trip IDs: the kind of the source file, its year and month, and the row in the file."""

from __future__ import annotations

from toytip.core.arrays import Int64Array

# The digits of a trip ID are the number of the kind, the year and month of the file, and the row.
_ROWS_IN_FILE = 10**9
_MONTHS = 10**6


def first_trip_id(kind_number: int, year: int, month: int) -> int:
    """Return the trip ID of row 0 of a file.

    >>> first_trip_id(1, 2023, 1)
    1202301000000000
    """
    return (kind_number * _MONTHS + year * 100 + month) * _ROWS_IN_FILE


def file_month_index(trip_id: Int64Array) -> Int64Array:
    """Return the month of the file of each trip, as the number of months since the year 0."""
    stamp = trip_id // _ROWS_IN_FILE % _MONTHS
    return stamp // 100 * 12 + stamp % 100 - 1
