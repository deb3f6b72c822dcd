"""The TLC's trip records: taxis, zones, columns, and trip identifiers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

TAXIS = ("yellow", "green")
# The TLC numbers its zones from 1 to 265.
ZONE_ID_COUNT = 266


@dataclass(frozen=True)
class Field:
    """A column of the TLC's files: its names, its kind, and whether every file has it."""

    name: str
    kind: str  # "time", "code" (a whole number) or "amount"
    required: bool = True
    aliases: tuple[str, ...] = ()

    def match(self, names: list[str]) -> str | None:
        """Return the name of the field in a file. The TLC's spelling varies in case.

        >>> Field("airport_fee", "amount").match(["VendorID", "Airport_fee"])
        'Airport_fee'
        """
        spellings = {alias.lower() for alias in (self.name, *self.aliases)}
        return next((name for name in names if name.lower() in spellings), None)


# Source: the TLC's data dictionaries for yellow and green trip records, and the published files
# since 2011. All files of all years have the required fields. Optional fields came later, or belong
# to one taxi.
FIELDS = (
    Field("pickup_at", "time", aliases=("tpep_pickup_datetime", "lpep_pickup_datetime")),
    Field("dropoff_at", "time", aliases=("tpep_dropoff_datetime", "lpep_dropoff_datetime")),
    Field("VendorID", "code"),
    Field("passenger_count", "code"),
    Field("trip_distance", "amount"),
    Field("PULocationID", "code"),
    Field("DOLocationID", "code"),
    Field("RatecodeID", "code"),
    Field("payment_type", "code"),
    Field("trip_type", "code", required=False),
    Field("fare_amount", "amount"),
    Field("tip_amount", "amount"),
    Field("extra", "amount"),
    Field("mta_tax", "amount"),
    Field("tolls_amount", "amount"),
    Field("improvement_surcharge", "amount"),
    Field("congestion_surcharge", "amount", required=False),
    Field("airport_fee", "amount", required=False),
    Field("cbd_congestion_fee", "amount", required=False),
)


def detect_taxi(names: list[str]) -> str | None:
    """Return the taxi by the prefix of the pickup column, or None if the file has no trip records.

    >>> detect_taxi(["VendorID", "lpep_pickup_datetime"])
    'green'
    """
    low = {name.lower() for name in names}
    prefixes = {"yellow": "tpep", "green": "lpep"}
    return next((taxi for taxi in TAXIS if f"{prefixes[taxi]}_pickup_datetime" in low), None)


# A trip ID is a readable decimal number: taxi, year and month of the file, row in the file.
_ROWS_IN_FILE = 10**9
_MONTHS = 10**6


def trip_id_base(taxi: str, year: int, month: int) -> int:
    """Return the trip ID of the first row of a file.

    >>> trip_id_base("yellow", 2023, 1)
    1202301000000000
    """
    return ((TAXIS.index(taxi) + 1) * _MONTHS + year * 100 + month) * _ROWS_IN_FILE


def file_month_index(trip_id: pd.Series[int]) -> pd.Series[int]:
    """Return the month of the file that each trip comes from, as months since the year 0."""
    stamp = trip_id // _ROWS_IN_FILE % _MONTHS
    return stamp // 100 * 12 + stamp % 100 - 1
