"""The files of the TLC's trip records: taxi types, zones and columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from toytip.core.dataset.declarations import Field
from toytip.core.dataset.field_names import FieldNames, spelling_of

TAXIS = ("yellow", "green")
# Zone IDs are 1 to 265.
ZONE_ID_COUNT = 266


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


FIELDS_BY_NAME = {field.name: field for field in FIELDS}
NAMES = FieldNames(FIELDS)
match_fields, find_repeated_fields, field_of = NAMES.match, NAMES.find_repeated, NAMES.field_of

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
    spellings = set(map(spelling_of, names))
    return [taxi for taxi in TAXIS if spelling_of(source_column("pickup_at", taxi)) in spellings]


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
    taxis = taxis_in_names(names)
    if taxis:
        return taxis[0] if len(taxis) == 1 else None
    spellings = set(map(spelling_of, names))
    return "green" if "pickupdatetime" in spellings and spellings & _GREEN_SPELLINGS else None


def detect_for_hire(names: Iterable[str]) -> str | None:
    """Return the kind of a record of for-hire vehicles, or None for other files.

    >>> [detect_for_hire([name]) for name in ("hvfhs_license_num", "dispatching_base_num", "extra")]
    ['fhvhv', 'fhv', None]
    """
    spellings = set(map(spelling_of, names))
    return next((kind for spelling, kind in _FOR_HIRE_KINDS.items() if spelling in spellings), None)


def detect_other_layout(names: Iterable[str]) -> tuple[str, str] | None:
    """Return why files with these columns cannot be used, and a hint, or None for trip records.

    >>> detect_other_layout(["hvfhs_license_num", "pickup_datetime", "PULocationID"])[0]
    'it is a record of for-hire vehicles (fhv or fhvhv)'
    """
    names = list(names)
    spellings = set(map(spelling_of, names))
    if detect_for_hire(names):
        return "it is a record of for-hire vehicles (fhv or fhvhv)", "Use yellow or green trip records."
    if spellings & _COORDINATE_SPELLINGS and "PULocationID" not in match_fields(names):
        return (
            "it has the layout of 2009 and 2010, with coordinates and without zones",
            "Start with 2011: the TLC's Parquet files have zones since 2011.",
        )
    return None
