"""Find pickup and dropoff times that contradict each other: the time zone of one is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toytip.core.number_values import decode_dictionary
from toytip.core.time_values import EPOCH_NUMBERS, NEW_YORK, other_times, read_times, zone_place

USUAL_HOURS = 3
# Only trips have pickup and dropoff times, and their local time is that of New York.
NEW_YORK_CITY = zone_place(NEW_YORK)
REMOVE_LABEL = (
    "The times are probably CITY's clock with the label of another zone. Remove the label, for "
    'example with frame["{}"].dt.tz_localize(None) in pandas.'
)
CONVERT_NUMBERS = "The numbers are probably UTC. Convert {} to timestamps with the time zone UTC."


def meaning_of(conversion: str, city: str = NEW_YORK_CITY) -> str:
    """Return how the times of a column were read, as text for a message."""
    return f"{city}'s clock" if EPOCH_NUMBERS in conversion else "instants of their time zone"


def fix_of(conversion: str, city: str = NEW_YORK_CITY) -> str:
    """Return how to correct the time zone of a column, whose name replaces {}."""
    return CONVERT_NUMBERS if EPOCH_NUMBERS in conversion else REMOVE_LABEL.replace("CITY", city)


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A column of times that does not fit the other one, unless its time zone is wrong."""

    column: str
    other_column: str
    conversion: str
    """How the times of the column were converted."""
    count: int
    """Number of trips that have no usual duration."""
    present: int
    """Number of trips with both times."""

    def __str__(self) -> str:
        return (
            f"column {self.column} contradicts column {self.other_column}: read as "
            f"{meaning_of(self.conversion)}, {self.count:,} of {self.present:,} trips end before they start, or "
            f"take more than {USUAL_HOURS} hours"
        )

    @property
    def fix(self) -> str:
        """How to correct the column."""
        return fix_of(self.conversion).format(self.column)


def find_contradiction(raw: pa.Table, pickup: str, dropoff: str) -> Contradiction | None:
    """Return the time column that contradicts the other one, given the names of both columns.

    Most trips have a usual duration if the times of this column have their other reading, and most
    do not as `read_times` reads the times.
    """
    starts, ends = (decode_dictionary(raw.column(name)) for name in (pickup, dropoff))
    start, end = read_times(starts), read_times(ends)
    usual, present = _count_usual(start.array, end.array)
    if 2 * usual >= present:
        return None
    for column, other_column, values, change in (
        (dropoff, pickup, ends, lambda times: (start.array, times)),
        (pickup, dropoff, starts, lambda times: (times, end.array)),
    ):
        times = other_times(values)
        if times is not None and 2 * _count_usual(*change(times))[0] > present:
            return Contradiction(
                column=column,
                other_column=other_column,
                conversion=read_times(values).conversion,
                count=present - usual,
                present=present,
            )
    return None


def _count_usual(start: npt.NDArray[np.datetime64], end: npt.NDArray[np.datetime64]) -> tuple[int, int]:
    """Return the numbers of trips with a usual duration, and of trips with both times."""
    duration = end - start
    usual = (duration > np.timedelta64(0, "us")) & (duration <= np.timedelta64(USUAL_HOURS, "h"))
    return int(np.count_nonzero(usual)), int(np.count_nonzero(~np.isnat(duration)))
