"""Read times from columns of any type that can represent times.

Times are those of the clock in a local time zone, by default that of New York, without a zone. A
time without a zone is taken as it is. A time with a zone or a UTC offset is an instant, and becomes
the local time at this instant. An epoch number is taken as the timestamp without a zone with the
same number.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toytip.core.arrays import BoolArray, Float64Array, Int64Array
from toytip.core.columns import ColumnValues
from toytip.core.number_values import (
    is_missing_text,
    is_number,
    is_text,
    read_numbers,
    to_text,
)
from toytip.core.text import join_words
from toytip.errors import SchemaError

NEW_YORK = "America/New_York"
# Outside of these years, the offset of a time zone is that of the nearest of them.
_FIRST_INSTANT, _LAST_INSTANT = (np.datetime64(year, "us") for year in ("1900", "2200"))
# Only these times can be text. Python, and so the server, has no others.
_FIRST_TIME, _END_OF_TIMES = (np.datetime64(year, "us") for year in ("0001", "10000"))
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# The smallest magnitude of an epoch number in each unit: March 1973 in seconds, milliseconds and so
# on. The largest one is the year 5138, where the next unit begins.
_MIN_EPOCH = {"s": 10**8, "ms": 10**11, "us": 10**14, "ns": 10**17}
FROM_TEXT = "from text"
EPOCH_NUMBERS = "epoch numbers"
# The digits after the minutes of times such as 202301312015, 20230131201500 and 20230131201500123.
_POWERS_AFTER_MINUTES = (1, 10**2, 10**5)
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

_TIME = r"\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?"
NAIVE_TIME_PATTERN = rf"^{_TIME}$"
ZONED_TIME_PATTERN = rf"^{_TIME} ?(Z|z|UTC|[+-]\d{{2}}(:?\d{{2}})?)$"
# The format of CSV files from NYC Open Data.
AMERICAN_TIME_PATTERN = r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]$"
# With an exponent, digits can be missing. Excel writes 1.67253E+12 for 1672531200000.
EPOCH_PATTERN = r"^[+-]?(\d+\.?\d*|\.\d+)$"
_SHORTEST_TIME = len("2023-01-01 00:00")


def is_time(arrow_type: pa.DataType) -> bool:
    """Return whether values of a type can be times: timestamps, text or epoch numbers.

    32-bit floats cannot. Their epoch numbers of these years are multiples of 128 seconds.
    """
    if pa.types.is_float32(arrow_type) or pa.types.is_float16(arrow_type):
        return False
    return bool(pa.types.is_timestamp(arrow_type)) or is_text(arrow_type) or is_number(arrow_type)


def zone_place(zone: str) -> str:
    """Return the place of a time zone, in words.

    >>> zone_place("America/New_York"), zone_place("UTC")
    ('New York', 'UTC')
    """
    return zone.rpartition("/")[2].replace("_", " ")


def read_times(column: pa.ChunkedArray, local_zone: str = NEW_YORK) -> ColumnValues:
    """Return a column as local times of a zone without a zone, in microseconds (NaT if missing).

    Raises SchemaError if the column has a zone, and this machine has no time zone database.
    """
    if pa.types.is_timestamp(column.type):
        zone = column.type.tz
        times, unreadable = _to_microseconds(column.to_numpy(), column.type.unit)
        if zone is None:
            return ColumnValues(times, unreadable)
        conversion = f"from time zone {zone} to {zone_place(local_zone)} time"
        return ColumnValues(to_local(times, local_zone), unreadable, conversion)
    if is_text(column.type):
        return _read_texts(to_text(column), local_zone)
    if pa.types.is_null(column.type):
        return ColumnValues(np.full(len(column), "NaT", "datetime64[us]"))
    return read_epochs(*_epoch_numbers(column))


def _to_microseconds(
    times: npt.NDArray[np.datetime64], unit: str
) -> tuple[npt.NDArray[np.datetime64], BoolArray | None]:
    """Return times in microseconds, and which of them are beyond the range of microseconds."""
    if unit == "us":
        return times.astype("datetime64[us]", copy=False), None
    if unit == "ns":  # NumPy's own conversion wraps the first microsecond of the range
        microseconds = (times.view(np.int64) // 1000).view("datetime64[us]")
        microseconds[np.isnat(times)] = np.datetime64("NaT", "us")
        return microseconds, None
    limit = np.iinfo(np.int64).max // (10**6 // _UNITS_PER_SECOND[unit])
    counts = times.view(np.int64)
    beyond = ~np.isnat(times) & ((counts > limit) | (counts < -limit))
    if beyond.any():
        microseconds = np.where(beyond, 0, counts).view(times.dtype).astype("datetime64[us]")
        microseconds[beyond] = np.datetime64("NaT", "us")
        return microseconds, beyond
    return times.astype("datetime64[us]"), None


def to_local(instants: npt.NDArray[np.datetime64], zone: str = NEW_YORK) -> npt.NDArray[np.datetime64]:
    """Return the local times of a zone at instants, which are given as UTC times.

    An instant has exactly one local time, so that the hour that is repeated in autumn is not
    ambiguous here. Raises SchemaError if the zone does not exist, or if this machine has no time
    zone database.
    """
    inside = np.clip(instants, _FIRST_INSTANT, _LAST_INSTANT)
    try:
        local = pc.local_timestamp(pa.array(inside).cast(pa.timestamp("us", zone)))
    except pa.ArrowInvalid:
        if zone != NEW_YORK:
            to_local(np.zeros(1, "datetime64[us]"))  # raises without a time zone database
            raise SchemaError(
                f"cannot convert times to the time zone {zone}: it does not exist",
                hint="Correct the time zone, for example to America/New_York, or remove it from the times.",
            ) from None
        raise SchemaError(
            f"cannot convert times to the time zone {zone}: this machine has no data on it",
            hint="Install the time zone database (package tzdata), or remove the time zone from the times.",
        ) from None
    return np.asarray(instants + (local.to_numpy(zero_copy_only=False) - inside), "datetime64[us]")


def read_epochs(numbers: Int64Array | Float64Array, missing: BoolArray) -> ColumnValues:
    """Return epoch numbers as times. The magnitude of a number decides its unit.

    The units of other numbers do not matter, so that the rows of a partition do not matter either.
    The digits of a date and a time are unreadable. For example, 20230131201500 as milliseconds
    would be a time in the year 2611.
    """
    with np.errstate(invalid="ignore"):
        magnitude = np.abs(numbers)
    position = np.searchsorted(list(_MIN_EPOCH.values()), magnitude, side="right") - 1
    readable = ~missing & (position >= 0) & (magnitude < 2**63) & ~_are_digits_of_times(magnitude)
    times, units = np.full(len(numbers), "NaT", "datetime64[us]"), []
    for index, unit in enumerate(_MIN_EPOCH):
        rows = readable & (position == index)
        if rows.any():
            times[rows] = _epoch_to_microseconds(numbers[rows], unit)
            units.append(_WORDS[unit])
    unreadable = ~missing & ~readable
    conversion = f"from {EPOCH_NUMBERS} in {join_words(units)}" if units else ""
    return ColumnValues(times, unreadable if unreadable.any() else None, conversion)


def _are_digits_of_times(numbers: Int64Array | Float64Array) -> BoolArray:
    """Return which numbers are the digits of a year, month, day, hour and minute."""
    with np.errstate(invalid="ignore"):
        integers = np.where(numbers < 2**63, numbers, 0).astype(np.int64)
    are_digits = np.zeros(len(integers), bool)
    for power in _POWERS_AFTER_MINUTES:
        rest, minute = np.divmod(integers // power, 100)
        rest, hour = np.divmod(rest, 100)
        rest, day = np.divmod(rest, 100)
        year, month = np.divmod(rest, 100)
        in_calendar = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour < 24) & (minute < 60)
        are_digits |= (year >= 1900) & (year < 2100) & in_calendar
    return are_digits


def _epoch_to_microseconds(numbers: npt.NDArray[Any], unit: str) -> npt.NDArray[np.datetime64]:
    if unit == "ns":
        counts = numbers.astype(np.int64) // 1000
    else:
        counts = np.rint(numbers * (10**6 // _UNITS_PER_SECOND[unit])).astype(np.int64)
    return counts.view("datetime64[us]")


def _epoch_numbers(column: pa.ChunkedArray) -> tuple[Int64Array | Float64Array, BoolArray]:
    """Return numbers, as integers if possible, and which of them are missing."""
    if pa.types.is_integer(column.type):
        try:
            integers = column.cast(pa.int64())
            return pc.fill_null(integers, 0).to_numpy(), column.is_null().to_numpy()
        except pa.ArrowInvalid:  # beyond the range of int64
            pass
    numbers, unreadable = read_numbers(column)
    numbers = numbers if unreadable is None else np.where(unreadable, np.inf, numbers)
    return numbers, np.isnan(numbers)


def _read_texts(text: pa.ChunkedArray, local_zone: str) -> ColumnValues:
    shortest = pc.min(pc.binary_length(text)).as_py()
    if shortest is None or shortest >= _SHORTEST_TIME:  # Arrow would take a date as midnight
        try:
            times = text.cast(pa.timestamp("us")).to_numpy()
            if not (times < _FIRST_TIME).any():
                return ColumnValues(times, conversion=FROM_TEXT if shortest else "")
        except pa.ArrowInvalid:
            pass
    return _read_mixed_texts(pc.utf8_trim_whitespace(text), local_zone)


def _read_mixed_texts(text: pa.ChunkedArray, local_zone: str) -> ColumnValues:
    """Return times in texts that are missing, epoch numbers, or times with and without zones."""
    times = np.full(len(text), "NaT", "datetime64[us]")
    missing = ~np.asarray(text.is_valid()) | np.asarray(pc.fill_null(is_missing_text(text), True))
    conversions = []
    for pattern, parse, conversion in (
        (NAIVE_TIME_PATTERN, _parse_iso, FROM_TEXT),
        (
            ZONED_TIME_PATTERN,
            partial(_parse_zoned, local_zone=local_zone),
            f"from text with UTC offsets to {zone_place(local_zone)} time",
        ),
        (AMERICAN_TIME_PATTERN, _parse_american, "from text such as 01/31/2023 08:15:00 PM"),
        (EPOCH_PATTERN, _parse_epochs, f"from {EPOCH_NUMBERS} as text"),
    ):
        rows = _matches(text, pattern)
        if rows.any():
            times[rows] = parse(text.filter(pa.array(rows)))
            conversions.append(conversion)
    unreadable = ~missing & np.isnat(times)
    return ColumnValues(times, unreadable if unreadable.any() else None, " and ".join(conversions))


def _parse_zoned(text: pa.ChunkedArray, local_zone: str) -> npt.NDArray[np.datetime64]:
    text = pc.replace_substring_regex(text, r" ?(Z|z|UTC)$", "+00:00")
    text = pc.replace_substring_regex(text, r" ?([+-]\d{2}):?(\d{2})?$", r"\1:\2")
    text = pc.replace_substring_regex(text, r":$", ":00")
    return _in_range(to_local(_parse_iso(text), local_zone))


def _parse_iso(text: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    """Return times without a zone, or the UTC times at instants."""
    text = pc.replace_substring_regex(pc.replace_substring(text, ",", "."), r"(\.\d{6})\d+", r"\1")
    text = pc.replace_substring_regex(text, r"[ T](\d:)", r" 0\1")
    times = pd.to_datetime(
        pd.Series(text.to_pylist(), dtype="str"), format="ISO8601", errors="coerce", utc=True
    )
    return _in_range(times.dt.tz_localize(None).dt.as_unit("us").to_numpy().copy())


def _in_range(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    times[(times < _FIRST_TIME) | (times >= _END_OF_TIMES)] = np.datetime64("NaT", "us")
    return times


def _parse_american(text: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    text = pc.replace_substring_regex(text, r" ?([AaPp][Mm])$", r" \1")
    times = pd.to_datetime(
        pd.Series(text.to_pylist(), dtype="str"), format="%m/%d/%Y %I:%M:%S %p", errors="coerce"
    )
    return _in_range(times.dt.as_unit("us").to_numpy().copy())


def _parse_epochs(text: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    try:
        numbers = text.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        numbers = read_numbers(text)[0]
    return read_epochs(numbers, np.isnan(numbers)).array


def count_date_orders(column: pa.ChunkedArray, month: int | None = None) -> tuple[int, int]:
    """Return how many times such as 01/31/2023 08:15:00 PM have the day first, and the month first.

    A number above 12 is a day. If `month` is the month of most times, its number is a month. Other
    times can have both orders, and do not count.
    """
    if not is_text(column.type):
        return 0, 0
    text = pc.utf8_trim_whitespace(to_text(column))
    text = text.filter(pc.fill_null(pc.match_substring_regex(text, AMERICAN_TIME_PATTERN), False))
    numbers = pc.extract_regex(text, r"^(?P<first>\d+)/(?P<second>\d+)/")
    first, second = (
        pc.struct_field(numbers, name).cast(pa.int64()).to_numpy() for name in ("first", "second")
    )
    day_first, month_first = (first > 12) & (second <= 12), (second > 12) & (first <= 12)
    if month is not None:
        day_first |= (second == month) & (first != month)
        month_first |= (first == month) & (second != month)
    return int(np.count_nonzero(day_first)), int(np.count_nonzero(month_first))


def other_reading(column: pa.ChunkedArray, local_zone: str = NEW_YORK) -> npt.NDArray[np.datetime64] | None:
    """Return the other reading of a column (see `other_times`), for the times that have two."""
    times = other_times(column, local_zone)
    if times is None or not is_text(column.type):
        return times
    text = pc.utf8_trim_whitespace(to_text(column))
    return times[_matches(text, ZONED_TIME_PATTERN) | _matches(text, EPOCH_PATTERN)]


def other_times(column: pa.ChunkedArray, local_zone: str = NEW_YORK) -> npt.NDArray[np.datetime64] | None:
    """Return the times if a zone or an epoch number does not mean what `read_times` assumes.

    The label of a zone can be wrong, so that the digits are those of the local clock. Epoch
    numbers can be instants. Returns None if the column has only one plausible reading.
    """
    if is_text(column.type):
        return _other_times_of_text(pc.utf8_trim_whitespace(to_text(column)), local_zone)
    times = read_times(column, local_zone)
    if not times.conversion:
        return None
    if not pa.types.is_timestamp(column.type):
        return to_local(times.array, local_zone)
    instants, _ = _to_microseconds(column.to_numpy(), column.type.unit)
    digits_in_zone = to_local(instants, column.type.tz)
    return None if np.array_equal(digits_in_zone, times.array, equal_nan=True) else digits_in_zone


def _other_times_of_text(text: pa.ChunkedArray, local_zone: str) -> npt.NDArray[np.datetime64] | None:
    zoned, numbers = _matches(text, ZONED_TIME_PATTERN), _matches(text, EPOCH_PATTERN)
    if not zoned.any() and not numbers.any():
        return None
    times = _read_mixed_texts(text, local_zone).array
    digits = pc.replace_substring_regex(text.filter(pa.array(zoned)), r" ?(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$", "")
    times[zoned], times[numbers] = _parse_iso(digits), to_local(times[numbers], local_zone)
    return times


def _matches(text: pa.ChunkedArray, pattern: str) -> BoolArray:
    return np.asarray(pc.fill_null(pc.match_substring_regex(text, pattern), False), bool)
