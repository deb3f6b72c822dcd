"""Columns without names: the first line of the file has the values of a row."""

from __future__ import annotations

import re
from collections.abc import Collection

# Numbers, dates and times.
_VALUE = re.compile(r"[+-]?\.?\d[\d\s:/.,+TZUCAPMapme-]*")
ADD_NAMES = (
    "Add a first line with the names of the columns, or write the column names as well. "
    "In pandas, read_csv(file, names=[...]) sets them."
)


def describe_unnamed(columns: Collection[object]) -> str:
    """Return the problem of columns whose names are values, or an empty text for other columns.

    >>> describe_unnamed(["2", "2023-01-01 00:26:10", "N", "1.5"])
    "the columns have no names, but values such as '2' and '2023-01-01 00:26:10'"
    >>> describe_unnamed(["VendorID", "fare_amount"])
    ''
    """
    names = [name for name in (str(column).strip("'\" ") for column in columns) if name]
    values = [name for name in names if _VALUE.fullmatch(name)]
    if len(values) < 2 or len(values) * 2 <= len(names):
        return ""
    return f"the columns have no names, but values such as {values[0]!r:.60} and {values[1]!r:.60}"
