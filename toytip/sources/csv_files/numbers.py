"""Numbers in CSV files, with decimal points or commas, and separators of groups of digits."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from toytip.core.dataset.dataset import Dataset
from toytip.core.number_values import NUMBER_PATTERN

_GROUPED_BY_COMMAS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"
_WITH_DECIMAL_COMMA = r"^[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)?(,\d*)?([eE][+-]?\d+)?$"
# Numbers that show whether decimals follow a comma or a point.
_CLEAR_COMMA, _CLEAR_POINT = (
    rf"^[+-]?(\d{{1,3}}({group}\d{{3}})+{point}\d*|\d*{point}(\d{{0,2}}|\d{{4,}})|(0|\d{{4,}})?{point}\d{{3}}"
    rf"|\d{{1,3}}({group}\d{{3}}){{2,}})$"
    for group, point in (("[.]", ","), (",", "[.]"))
)
# Numbers such as 1,234, which can have decimals or a group of digits.
_UNCLEAR_COMMA, _UNCLEAR_POINT = (rf"^[+-]?[1-9]\d{{0,2}}{mark}\d{{3}}$" for mark in (",", "[.]"))


def _is_number(name: str, dataset: Dataset) -> bool:
    """Return whether a column has codes or amounts, given its name in the file."""
    return dataset.fields_by_name[dataset.field_names.field_of(name) or name].kind != "time"


def _numbers_of(rows: pa.Table, dataset: Dataset) -> dict[str, pa.ChunkedArray]:
    """Return the columns of codes and amounts, by name."""
    columns = zip(rows.column_names, rows.columns, strict=True)
    return {name: pc.utf8_trim_whitespace(text) for name, text in columns if _is_number(name, dataset)}


def columns_with_decimal_commas(rows: pa.Table, delimiter: str, dataset: Dataset) -> tuple[str, ...]:
    """Return the names of the columns in which decimals follow a comma.

    The numbers of a column decide. If they do not show it, the other columns of the file decide.
    """
    numbers = _numbers_of(rows, dataset)
    if not any(map(_contains_comma, numbers.values())):
        return ()
    balances = {
        name: _count(text, _CLEAR_COMMA) - _count(text, _CLEAR_POINT) for name, text in numbers.items()
    }
    balance = sum(balances.values())
    if not balance:
        commas, points = (
            sum(_count(text, pattern) for text in numbers.values())
            for pattern in (_UNCLEAR_COMMA, _UNCLEAR_POINT)
        )
        balance = -1 if delimiter == "," else commas - points
    return tuple(name for name, own in balances.items() if (own or balance) > 0)


def _contains_comma(text: pa.ChunkedArray) -> bool:
    return pc.any(pc.match_substring(text, ",")).as_py() is True


def _count(text: pa.ChunkedArray, pattern: str) -> int:
    return pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0


def with_plain_numbers(rows: pa.Table, comma_columns: Collection[str], dataset: Dataset) -> pa.Table:
    """Return rows in which numbers have a decimal point, and no separators of groups."""
    columns = []
    for name, text in zip(rows.column_names, rows.columns, strict=True):
        if name in comma_columns:
            columns.append(_with_points(pc.utf8_trim_whitespace(text)))
        elif _is_number(name, dataset) and _contains_comma(text):
            columns.append(_without_groups(pc.utf8_trim_whitespace(text)))
        else:
            columns.append(text)
    return pa.Table.from_arrays(columns, rows.column_names)


def _without_groups(text: pa.ChunkedArray) -> pa.ChunkedArray:
    is_grouped = pc.match_substring_regex(text, _GROUPED_BY_COMMAS)
    return pc.if_else(is_grouped, pc.replace_substring(text, ",", ""), text)


def _with_points(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers with decimal commas, in which points separate groups of digits, with points.

    A number with another point, such as 14.25, has quotes in the result, which make it unreadable.
    """
    plain = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    other = pc.if_else(pc.match_substring_regex(text, NUMBER_PATTERN), quoted, text)
    return pc.if_else(pc.match_substring_regex(text, _WITH_DECIMAL_COMMA), plain, other)
