"""The job as arithmetic on whole numbers and doubles. No engine of the benchmark computes here.

`benchmarks/RULES.md` describes the same job in words. A time is the number of microseconds since
1970, so that no date function of a library decides about months, weekdays or hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
MISSING = -1
ZONES = ("PULocationID", "DOLocationID")
PICKUP_FEATURES = ("pickup_weekday", "pickup_hour", "pickup_minute", "work_hours")


@dataclass(frozen=True, kw_only=True)
class Files:
    """The columns of the files of a taxi type, and the features of its job."""

    digits: int
    """The first digits of a trip ID."""
    times: tuple[str, str]
    """Time of the pickup and of the dropoff."""
    distance: str
    fare: str
    tip: str
    nullable: tuple[str, ...]
    """Features that are columns of the files and can be null."""
    features: tuple[str, ...]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns in addition to the times without which a trip is not kept."""
        return self.distance, self.fare, self.tip, *ZONES


YELLOW = Files(
    digits=10**6,
    times=("tpep_pickup_datetime", "tpep_dropoff_datetime"),
    distance="trip_distance",
    fare="fare_amount",
    tip="tip_amount",
    nullable=("passenger_count", "RatecodeID"),
    features=(
        *PICKUP_FEATURES,
        "passenger_count",
        "trip_distance",
        "trip_time",
        "trip_speed",
        *ZONES,
        "RatecodeID",
    ),
)
GREEN = replace(YELLOW, digits=2 * 10**6, times=("lpep_pickup_datetime", "lpep_dropoff_datetime"))
FHVHV = Files(
    digits=3 * 10**6,
    times=("pickup_datetime", "dropoff_datetime"),
    distance="trip_miles",
    fare="base_passenger_fare",
    tip="tips",
    nullable=("trip_time",),
    features=(*PICKUP_FEATURES, "trip_miles", "trip_time", "trip_speed", *ZONES),
)
ALL_FILES = (YELLOW, GREEN, FHVHV)
NULLABLE = tuple(name for files in ALL_FILES for name in files.nullable)


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
    """The features of the job, by name."""


def define_months(folder: Path) -> Iterator[DefinedMonth]:
    """Yield the kept trips of each monthly file in a folder, oldest month first."""
    for file in sorted(folder.glob("*.parquet"), key=lambda path: path.stem[-7:]):
        yield define_month(file)


def define_month(file: Path) -> DefinedMonth:
    """Return the kept trips of a monthly file."""
    year, month = int(file.stem[-7:-3]), int(file.stem[-2:])
    names = pq.ParquetFile(file).schema_arrow.names
    files = next(files for files in ALL_FILES if files.times[0] in names)
    table = pq.ParquetFile(file).read([*files.times, *files.numbers, *files.nullable])
    pickup, dropoff = (_microseconds(table[name]) for name in files.times)
    numbers = {name: _doubles(table[name]) for name in (*files.numbers, *files.nullable)}
    complete = np.logical_and.reduce([_is_known(table[name]) for name in (*files.times, *files.numbers)])
    fare, tip, distance = (numbers[name] for name in (files.fare, files.tip, files.distance))
    is_kept = complete & _is_in_month(year, month, pickup)
    is_kept &= (fare > 0) & (tip >= 0) & (distance >= 0) & (distance <= 300)
    is_kept &= (dropoff > pickup) & (dropoff - pickup <= DAY)
    rows = np.flatnonzero(is_kept)
    first = (files.digits + 100 * year + month) * ROWS_IN_FILE
    pickup, dropoff = pickup[rows], dropoff[rows]
    numbers = {name: values[rows] for name, values in numbers.items()}
    return DefinedMonth(
        year,
        month,
        first,
        trip_id=first + rows,
        day=pickup // DAY,
        high_tip=numbers[files.tip] > 0.2 * numbers[files.fare],
        features=_features(files, pickup, dropoff, numbers),
    )


def _is_in_month(year: int, month: int, pickup: Integers) -> Mask:
    first = np.datetime64(f"{year}-{month:02}", "M")
    start, end = (int((first + step).astype("datetime64[us]").astype(np.int64)) for step in (0, 1))
    inside: Mask = (pickup >= start) & (pickup < end)
    return inside


def _features(
    files: Files, pickup: Integers, dropoff: Integers, numbers: dict[str, Floats]
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
        "trip_time": seconds,
        "trip_speed": numbers[files.distance] / seconds * 3_600,
        # A column of the files replaces a computed value of the same name.
        **numbers,
    }
    return {name: values[name].astype(np.float32) for name in files.features}


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
