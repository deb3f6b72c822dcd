"""Read codes and amounts from columns of any type that can represent numbers.

A value is missing if it is null, NaN, or a text such as an empty text or `null`. A value that is
neither missing nor valid is unreadable: cleaning rejects its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from toytip.core.arrays import BoolArray, Float64Array
from toytip.core.columns import ColumnValues

# All whole numbers up to this limit are exact in float32, the dtype of codes in memory.
MAX_CODE = 2**24
# No sum of amounts exceeds the range of an integer histogram below this limit.
MAX_AMOUNT = 1e12
# All texts that pandas and Arrow read as missing values in CSV files are among them.
MISSING_TEXTS = (
    *("", "nan", "-nan", "none", "null", "na", "#na", "n/a", "#n/a", "#n/a n/a", "<na>", "nat", "\\n", "-"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
)
NUMBER_PATTERN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def is_text(arrow_type: pa.DataType) -> bool:
    """Return whether values of a type are text, which can also be stored as bytes."""
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
    )
    return any(test(arrow_type) for test in tests)


def is_number(arrow_type: pa.DataType) -> bool:
    """Return whether values of a type are numbers. Booleans are not numbers."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(arrow_type) for test in tests)


def decode_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionary encoding, which pandas calls categories."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def read_codes(column: pa.ChunkedArray) -> ColumnValues:
    """Return a column as codes: whole numbers of at most `MAX_CODE`, as float32."""
    if pa.types.is_integer(column.type):
        smallest, largest = pc.min_max(column).as_py().values()
        if smallest is None or (smallest >= -MAX_CODE and largest <= MAX_CODE):
            return ColumnValues(column.cast(pa.float32(), safe=False).to_numpy())
    numbers, unreadable = read_numbers(column)
    is_code = (np.trunc(numbers) == numbers) & (np.abs(numbers) <= MAX_CODE)
    return _reject(numbers, ~is_code & ~np.isnan(numbers), unreadable, np.float32)


def read_amounts(column: pa.ChunkedArray) -> ColumnValues:
    """Return a column as amounts: numbers of at most `MAX_AMOUNT`, as float64."""
    numbers, unreadable = read_numbers(column)
    if unreadable is None and _all_within(numbers, MAX_AMOUNT):
        return ColumnValues(numbers)
    return _reject(numbers, np.abs(numbers) > MAX_AMOUNT, unreadable, np.float64)


def _all_within(numbers: Float64Array, limit: float) -> bool:
    """Return whether all numbers that are not NaN are within the limit. Needs no copy."""
    return bool(len(numbers) and np.fmax.reduce(numbers) <= limit and np.fmin.reduce(numbers) >= -limit)


def _reject(
    numbers: Float64Array, invalid: BoolArray, unreadable: BoolArray | None, dtype: type[np.floating[Any]]
) -> ColumnValues:
    if unreadable is not None:
        invalid = invalid | unreadable
    if not invalid.any():
        return ColumnValues(numbers.astype(dtype, copy=False))
    return ColumnValues(np.where(invalid, np.nan, numbers).astype(dtype), invalid)


def read_numbers(column: pa.ChunkedArray) -> tuple[Float64Array, BoolArray | None]:
    """Return the nearest float64 of each number (NaN if missing), and the unreadable texts."""
    if is_text(column.type) or pa.types.is_decimal(column.type):
        return parse_numbers(to_text(column))  # Arrow's own conversion of decimals is not exact
    if pa.types.is_float16(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    with np.errstate(over="ignore"):
        return column.to_numpy().astype(np.float64, copy=False), None


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text or decimals as text. Bytes that are not UTF-8 become replacement characters.

    Arrow does not check the text of a Parquet file, and some programs write other bytes as text.
    """
    if is_text(column.type):
        column = column.cast(pa.large_binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [None if item is None else item.decode(errors="replace") for item in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])


def replace_texts(column: pa.ChunkedArray, texts: Sequence[tuple[str, int]]) -> pa.ChunkedArray:
    """Return text in which some texts, in upper or lower case, are replaced by their codes."""
    text = pc.utf8_trim_whitespace(to_text(column))
    names, codes = zip(*texts, strict=True)
    index = pc.index_in(pc.utf8_upper(text), pa.array(names))
    return pc.coalesce(pc.take(pa.array(map(str, codes)), index), text)


def parse_numbers(text: pa.ChunkedArray) -> tuple[Float64Array, BoolArray | None]:
    """Return the number in each text (NaN if missing), and which texts are unreadable."""
    try:
        numbers = np.asarray(text.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        pass
    else:
        if text.null_count == np.count_nonzero(np.isnan(numbers)):
            return numbers, None  # else, Arrow could have read texts such as nan(ind)
    text = pc.utf8_trim_whitespace(text)
    is_numeric = pc.fill_null(pc.match_substring_regex(text, NUMBER_PATTERN), False)
    unreadable = pc.and_not(pc.and_not(text.is_valid(), is_missing_text(text)), is_numeric)
    numbers = pc.if_else(is_numeric, text, None)
    return _parse_plain_numbers(numbers), _mask(unreadable)


def _parse_plain_numbers(text: pa.ChunkedArray) -> Float64Array:
    try:
        return np.asarray(text.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:  # Arrow does not parse numbers beyond the range of float64
        return np.array([np.nan if item is None else float(item) for item in text.to_pylist()], np.float64)


def is_missing_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which texts, without spaces around them, represent a missing value."""
    return pc.is_in(pc.utf8_lower(text), pa.array(MISSING_TEXTS))


def _mask(flags: pa.ChunkedArray) -> BoolArray | None:
    mask: npt.NDArray[Any] = flags.to_numpy()
    return mask.astype(bool) if mask.any() else None
