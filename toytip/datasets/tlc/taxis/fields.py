"""The files of the TLC's trip records: taxi types, zones and columns."""

from __future__ import annotations

from toytip.core.dataset.declarations import Field
from toytip.core.dataset.field_names import FieldNames

TAXIS = ("yellow", "green")

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
match_fields, field_of = NAMES.match, NAMES.field_of

# The prefix of the names of time columns in the files of a taxi type.
_TIME_COLUMN_PREFIXES = {"yellow": "tpep", "green": "lpep"}


def source_column(field: str, taxi: str) -> str:
    """Return the name of a column in the files of a taxi type.

    >>> source_column("pickup_at", "green")
    'lpep_pickup_datetime'
    """
    event = {"pickup_at": "pickup", "dropoff_at": "dropoff"}.get(field)
    return field if event is None else f"{_TIME_COLUMN_PREFIXES[taxi]}_{event}_datetime"
