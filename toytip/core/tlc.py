"""The TLC's trip records: taxi types, zones, columns and trip IDs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toytip.core.arrays import Int64Array

TAXIS = ("yellow", "green")
# Zone IDs are 1 to 265.
ZONE_ID_COUNT = 266


@dataclass(frozen=True)
class Field:
    """A column of the TLC's files."""

    name: str
    """Name of the column in `trips`."""
    kind: str
    """`time`, `code` (a whole number) or `amount`."""
    required: bool = True
    """Whether every file has the column."""
    aliases: tuple[str, ...] = ()
    """Other names of the column in the files."""

    def match(self, names: Iterable[str]) -> str | None:
        """Return the column's name in a file with these names, in any case, or None.

        >>> Field("airport_fee", "amount").match(["VendorID", "Airport_fee"])
        'Airport_fee'
        """
        aliases = {alias.lower() for alias in (self.name, *self.aliases)}
        return next((name for name in names if name.lower() in aliases), None)


# Source: the TLC's data dictionaries for yellow and green trip records, and the published files
# since 2011. Required fields are in every file of every year. The other fields were added later, or
# exist for only one taxi type.
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


FIELDS_BY_NAME = {field.name: field for field in FIELDS}
_FIELD_NAMES_BY_SPELLING = {
    spelling.lower(): field.name for field in FIELDS for spelling in (field.name, *field.aliases)
}


def match_fields(names: Iterable[str]) -> dict[str, str]:
    """Return the names that match a field, in any case, by field. The first match counts.

    >>> match_fields(["Airport_fee", "lpep_pickup_datetime", "AIRPORT_FEE", "color"])
    {'airport_fee': 'Airport_fee', 'pickup_at': 'lpep_pickup_datetime'}
    """
    matches: dict[str, str] = {}
    for name in names:
        field = _FIELD_NAMES_BY_SPELLING.get(name.lower())
        if field is not None:
            matches.setdefault(field, name)
    return matches


# The prefix of the names of time columns in the files of a taxi type.
_TIME_COLUMN_PREFIXES = {"yellow": "tpep", "green": "lpep"}


def source_column(field: str, taxi: str) -> str:
    """Return the name of a column in the files of a taxi type.

    >>> source_column("pickup_at", "green")
    'lpep_pickup_datetime'
    """
    event = {"pickup_at": "pickup", "dropoff_at": "dropoff"}.get(field)
    return field if event is None else f"{_TIME_COLUMN_PREFIXES[taxi]}_{event}_datetime"


def detect_taxi(names: Iterable[str]) -> str | None:
    """Return the taxi type, which the pickup column's name shows, or None for other files.

    >>> detect_taxi(["VendorID", "lpep_pickup_datetime"])
    'green'
    """
    lower_names = {name.lower() for name in names}
    return next((taxi for taxi in TAXIS if source_column("pickup_at", taxi) in lower_names), None)


# The digits of a trip ID are the taxi type, the year and month of the file, and the row.
_ROWS_IN_FILE = 10**9
_MONTHS = 10**6


def trip_id_base(taxi: str, year: int, month: int) -> int:
    """Return the trip ID of row 0 of a file.

    >>> trip_id_base("yellow", 2023, 1)
    1202301000000000
    """
    return ((TAXIS.index(taxi) + 1) * _MONTHS + year * 100 + month) * _ROWS_IN_FILE


def file_month_index(trip_id: Int64Array) -> Int64Array:
    """Return the month of the file of each trip, as the number of months since the year 0."""
    stamp = trip_id // _ROWS_IN_FILE % _MONTHS
    return stamp // 100 * 12 + stamp % 100 - 1
