"""Parts of local times, and durations, of arrays and of pandas Series alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import Float64Array, Int64Array

MONTHS_BEFORE_1970 = 1970 * 12
# 1970-01-01 was a Thursday. Monday is day 0 of a week.
_WEEKDAY_OF_DAY_0 = 3


def _count_units(times: npt.ArrayLike, unit: str) -> Int64Array:
    """Return the number of completed units from 1970 to each time."""
    counts: Int64Array = np.asarray(times).astype(f"datetime64[{unit}]").view(np.int64)
    return counts


def month_index(times: npt.ArrayLike) -> Int64Array:
    """Return the month of each time, as the number of months since the year 0.

    >>> month_index(np.array(["2023-01-31T23:59"], "datetime64[us]")) - 2023 * 12
    array([0])
    """
    return _count_units(times, "M") + MONTHS_BEFORE_1970


def weekday(times: npt.ArrayLike) -> Int64Array:
    """Return the day of the week of each time, 0 for Monday."""
    return (_count_units(times, "D") + _WEEKDAY_OF_DAY_0) % 7


def hour(times: npt.ArrayLike) -> Int64Array:
    """Return the hour of each time, 0 to 23."""
    return _count_units(times, "h") % 24


def minute(times: npt.ArrayLike) -> Int64Array:
    """Return the minute of each time, 0 to 59."""
    return _count_units(times, "m") % 60


def seconds_between(starts: npt.ArrayLike, stops: npt.ArrayLike) -> Float64Array:
    """Return the seconds from each start to its stop."""
    microseconds = (np.asarray(stops) - np.asarray(starts)).astype("timedelta64[us]").view(np.int64)
    # Seconds and the rest are added, so that the rounding is the same as in pandas.
    seconds, rest = np.divmod(microseconds, 1_000_000)
    return np.asarray(seconds + rest / 1_000_000, np.float64)
