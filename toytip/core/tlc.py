"""The TLC's trip records: taxi types, zones, columns and trip IDs."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toytip.core.arrays import Int64Array
from toytip.core.text import join_words

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
    aliases: tuple[str, ...] = ()
    """Other names of the column in the files of the TLC, and of those who publish them again."""
    required: bool = True
    """Whether every file has the column, with values."""
    since: int | None = None
    """Year in which the TLC added the column, if files of earlier years do not have it."""
    taxis: tuple[str, ...] = TAXIS
    """Taxi types whose files have the column."""


# Source: the TLC's data dictionaries for yellow and green trip records, and the published files
# since 2011. Required fields are in every file of every year. The other fields were added later, or
# exist for only one taxi type. Upper case, spaces and underscores in names do not matter, so that
# the aliases are only names with different words, from BigQuery's tables and the TLC's CSV files.
FIELDS = (
    Field("pickup_at", "time", ("tpep_pickup_datetime", "lpep_pickup_datetime", "pickup_datetime")),
    Field("dropoff_at", "time", ("tpep_dropoff_datetime", "lpep_dropoff_datetime", "dropoff_datetime")),
    Field("VendorID", "code"),
    Field("passenger_count", "code"),
    Field("trip_distance", "amount"),
    Field("PULocationID", "code", ("pickup_location_id",)),
    Field("DOLocationID", "code", ("dropoff_location_id",)),
    Field("RatecodeID", "code", ("rate_code",)),
    Field("payment_type", "code"),
    Field("trip_type", "code", required=False, taxis=("green",)),
    Field("fare_amount", "amount"),
    Field("tip_amount", "amount"),
    Field("extra", "amount", ("surcharge",)),
    Field("mta_tax", "amount"),
    Field("tolls_amount", "amount"),
    Field("improvement_surcharge", "amount", ("imp_surcharge",), required=False, since=2015),
    Field("congestion_surcharge", "amount", required=False, since=2019),
    Field("airport_fee", "amount", required=False, since=2021, taxis=("yellow",)),
    Field("cbd_congestion_fee", "amount", required=False, since=2025),
)


def _spelling(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


FIELDS_BY_NAME = {field.name: field for field in FIELDS}
_FIELD_NAMES_BY_SPELLING = {
    _spelling(name): field.name for field in FIELDS for name in (field.name, *field.aliases)
}


@functools.lru_cache(maxsize=4096)
def field_of(name: str) -> str | None:
    """Return the field that a column of a file contains, or None for a column that toytip ignores.

    >>> [field_of(name) for name in ("Airport_fee", " puLocationId", "total_amount")]
    ['airport_fee', 'PULocationID', None]
    """
    return _FIELD_NAMES_BY_SPELLING.get(_spelling(name))


def match_fields(names: Iterable[str]) -> dict[str, str]:
    """Return the names that match a field, by field. The first match counts.

    >>> match_fields(["Airport_fee", "lpep_pickup_datetime", "AIRPORT_FEE", "color"])
    {'airport_fee': 'Airport_fee', 'pickup_at': 'lpep_pickup_datetime'}
    """
    matches: dict[str, str] = {}
    for name in names:
        field = field_of(name)
        if field is not None:
            matches.setdefault(field, name)
    return matches


def find_repeated_fields(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the fields that several names match, with these names.

    >>> find_repeated_fields(["Airport_fee", "extra", "airport_fee"])
    {'airport_fee': ('Airport_fee', 'airport_fee')}
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        field = field_of(name)
        if field is not None:
            groups.setdefault(field, []).append(name)
    return {field: tuple(group) for field, group in groups.items() if len(group) > 1}


def describe_repeated(repeated: Mapping[str, Sequence[str]]) -> str:
    """Return the fields that several columns match, as text for a message.

    >>> describe_repeated({"airport_fee": ("Airport_fee", "airport_fee")})
    '2 columns contain airport_fee (Airport_fee, airport_fee)'
    """
    return join_words(
        [f"{len(names)} columns contain {field} ({', '.join(names)})" for field, names in repeated.items()]
    )


# The prefix of the names of time columns in the files of a taxi type.
_TIME_COLUMN_PREFIXES = {"yellow": "tpep", "green": "lpep"}
# Columns that only files of green taxis have.
_GREEN_SPELLINGS = {"triptype", "ehailfee"}
_FOR_HIRE_KINDS = {"hvfhslicensenum": "fhvhv", "dispatchingbasenum": "fhv", "dispatchingbasenumber": "fhv"}
_COORDINATE_SPELLINGS = {"startlon", "pickuplongitude"}


def source_column(field: str, taxi: str) -> str:
    """Return the name of a column in the files of a taxi type.

    >>> source_column("pickup_at", "green")
    'lpep_pickup_datetime'
    """
    event = {"pickup_at": "pickup", "dropoff_at": "dropoff"}.get(field)
    return field if event is None else f"{_TIME_COLUMN_PREFIXES[taxi]}_{event}_datetime"


def taxis_in_names(names: Collection[str]) -> list[str]:
    """Return the taxi types of which columns have the pickup column.

    >>> taxis_in_names(["Lpep_pickup_datetime", "pickup_datetime"])
    ['green']
    """
    spellings = set(map(_spelling, names))
    return [taxi for taxi in TAXIS if _spelling(source_column("pickup_at", taxi)) in spellings]


def detect_taxi(names: Collection[str]) -> str | None:
    """Return the taxi type that the columns show, or None if they do not show exactly one.

    The name of the pickup column shows the taxi type, or a column that only green taxis have.

    >>> detect_taxi(["VendorID", "lpep_pickup_datetime"]), detect_taxi(["pickup_datetime"])
    ('green', None)
    >>> detect_taxi(["pickup_datetime", "ehail_fee"])
    'green'
    >>> detect_taxi(["lpep_pickup_datetime", "tpep_pickup_datetime"]) is None
    True
    """
    spellings = set(map(_spelling, names))
    taxis = taxis_in_names(names)
    if taxis:
        return taxis[0] if len(taxis) == 1 else None
    return "green" if "pickupdatetime" in spellings and spellings & _GREEN_SPELLINGS else None


def detect_for_hire(names: Iterable[str]) -> str | None:
    """Return the kind of a record of for-hire vehicles, or None for other files.

    >>> [detect_for_hire([name]) for name in ("hvfhs_license_num", "dispatching_base_num", "extra")]
    ['fhvhv', 'fhv', None]
    """
    spellings = set(map(_spelling, names))
    return next((kind for spelling, kind in _FOR_HIRE_KINDS.items() if spelling in spellings), None)


def detect_other_layout(names: Iterable[str]) -> tuple[str, str] | None:
    """Return why files with these columns cannot be used, and a hint, or None for trip records.

    >>> detect_other_layout(["hvfhs_license_num", "pickup_datetime", "PULocationID"])[0]
    'it is a record of for-hire vehicles (fhv or fhvhv)'
    """
    names = list(names)
    spellings = set(map(_spelling, names))
    if detect_for_hire(names):
        return "it is a record of for-hire vehicles (fhv or fhvhv)", "Use yellow or green trip records."
    if spellings & _COORDINATE_SPELLINGS and "PULocationID" not in match_fields(names):
        return (
            "it has the layout of 2009 and 2010, with coordinates and without zones",
            "Start with 2011: the TLC's Parquet files have zones since 2011.",
        )
    return None


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
