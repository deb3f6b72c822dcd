"""The job as arithmetic on whole numbers and doubles. No engine of the benchmark computes here.

`benchmarks/RULES.md` describes the same job in words. A time is the number of microseconds since
1970, so that no date function of a library decides about months, weekdays or hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
# 1970-01-01 was a Thursday, which is day 3 if Monday is day 0.
FIRST_WEEKDAY = 3
ROWS_IN_FILE = 10**9
# The first digits of a trip ID are the taxi type.
TAXI_DIGITS = {"tpep": 10**6, "lpep": 2 * 10**6}
TIMES = ("pickup_datetime", "dropoff_datetime")
NUMBERS = ("trip_distance", "fare_amount", "tip_amount", "PULocationID", "DOLocationID")
NULLABLE = ("passenger_count", "RatecodeID")
MISSING = -1


@dataclass(frozen=True)
class DefinedMonth:
    """The kept trips of a monthly file, in the order of the file."""

    year: int
    month: int
    first_trip_id: int
    """ID of the first trip of the file, kept or not."""
    trip_id: Integers
    day: Integers
    """Day of the pickup, as the number of days since 1970-01-01."""
    high_tip: Mask
    features: dict[str, npt.NDArray[np.float32]]
    """The eleven features of the job `eleven-features`, by name."""


def define_months(folder: Path) -> Iterator[DefinedMonth]:
    """Yield the kept trips of each monthly file in a folder, oldest month first."""
    for file in sorted(folder.glob("*.parquet"), key=lambda path: path.stem[-7:]):
        yield define_month(file)


def define_month(file: Path) -> DefinedMonth:
    """Return the kept trips of a monthly file of yellow or green taxis."""
    year, month = int(file.stem[-7:-3]), int(file.stem[-2:])
    names = pq.ParquetFile(file).schema_arrow.names
    taxi = "tpep" if "tpep_pickup_datetime" in names else "lpep"
    times = [f"{taxi}_{name}" for name in TIMES]
    table = pq.ParquetFile(file).read([*times, *NUMBERS, *NULLABLE])
    pickup, dropoff = (_microseconds(table[name]) for name in times)
    numbers = {name: _doubles(table[name]) for name in (*NUMBERS, *NULLABLE)}
    complete = np.logical_and.reduce([_is_known(table[name]) for name in (*times, *NUMBERS)])
    is_kept = complete & _is_kept(year, month, pickup, dropoff, numbers)
    rows = np.flatnonzero(is_kept)
    first = (TAXI_DIGITS[taxi] + 100 * year + month) * ROWS_IN_FILE
    pickup, dropoff = pickup[rows], dropoff[rows]
    numbers = {name: values[rows] for name, values in numbers.items()}
    return DefinedMonth(
        year,
        month,
        first,
        trip_id=first + rows,
        day=pickup // DAY,
        high_tip=numbers["tip_amount"] > 0.2 * numbers["fare_amount"],
        features=_features(pickup, dropoff, numbers),
    )


def _is_kept(year: int, month: int, pickup: Integers, dropoff: Integers, numbers: dict[str, Floats]) -> Mask:
    first = np.datetime64(f"{year}-{month:02}", "M")
    start, end = (int((first + step).astype("datetime64[us]").astype(np.int64)) for step in (0, 1))
    kept: Mask = (
        (pickup >= start)
        & (pickup < end)
        & (numbers["fare_amount"] > 0)
        & (numbers["tip_amount"] >= 0)
        & (dropoff > pickup)
        & (dropoff - pickup <= DAY)
        & (numbers["trip_distance"] >= 0)
        & (numbers["trip_distance"] <= 300)
    )
    return kept


def _features(
    pickup: Integers, dropoff: Integers, numbers: dict[str, Floats]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the features of kept trips. Decimals are doubles until the end."""
    weekday = (pickup // DAY + FIRST_WEEKDAY) % 7
    hour, minute = pickup % DAY // (3_600 * SECOND), pickup % (3_600 * SECOND) // (60 * SECOND)
    seconds = (dropoff - pickup) / SECOND
    values = {
        "pickup_weekday": weekday,
        "pickup_hour": hour,
        "pickup_minute": minute,
        "work_hours": (weekday < 5) & (hour >= 8) & (hour <= 18),
        "passenger_count": numbers["passenger_count"],
        "trip_distance": numbers["trip_distance"],
        "trip_time": seconds,
        "trip_speed": numbers["trip_distance"] / seconds * 3_600,
        "PULocationID": numbers["PULocationID"],
        "DOLocationID": numbers["DOLocationID"],
        "RatecodeID": numbers["RatecodeID"],
    }
    return {name: column.astype(np.float32) for name, column in values.items()}


def _microseconds(column: pa.ChunkedArray) -> Integers:
    values: Integers = column.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(0).to_numpy()
    return values


def _doubles(column: pa.ChunkedArray) -> Floats:
    """Return numbers as doubles, with MISSING for null."""
    values: Floats = column.cast(pa.float64()).fill_null(MISSING).to_numpy()
    return values


def _is_known(column: pa.ChunkedArray) -> Mask:
    values: Mask = column.is_valid().to_numpy()
    return values
