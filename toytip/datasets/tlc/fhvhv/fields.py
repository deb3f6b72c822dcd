"""The columns of the TLC's files of high-volume for-hire vehicles."""

from __future__ import annotations

from toytip.core.dataset.declarations import Field

COMPANIES = (("HV0002", 2), ("HV0003", 3), ("HV0004", 4), ("HV0005", 5))
YES_OR_NO = (("N", 0), ("Y", 1))

# Source: the TLC's data dictionary of high-volume for-hire vehicles, and the published files since
# February 2019. In old files, `airport_fee` is the text `None`, which is a missing value.
FIELDS = (
    Field("pickup_at", "time", ("pickup_datetime",)),
    Field("dropoff_at", "time", ("dropoff_datetime",)),
    Field("request_at", "time", ("request_datetime",)),
    Field("company", "code", ("hvfhs_license_num",), texts=COMPANIES),
    Field("PULocationID", "code"),
    Field("DOLocationID", "code"),
    Field("trip_miles", "amount"),
    Field("trip_time", "amount"),
    Field("base_passenger_fare", "amount"),
    Field("tolls", "amount"),
    Field("bcf", "amount"),
    Field("sales_tax", "amount"),
    Field("congestion_surcharge", "amount", required=False, since=2019),
    Field("airport_fee", "amount", required=False, since=2021),
    Field("cbd_congestion_fee", "amount", required=False, since=2025),
    Field("tips", "amount"),
    Field("driver_pay", "amount"),
    Field("shared_request", "code", ("shared_request_flag",), texts=YES_OR_NO),
    Field("shared_match", "code", ("shared_match_flag",), texts=YES_OR_NO),
    Field("access_a_ride", "code", ("access_a_ride_flag",), required=False, texts=YES_OR_NO),
    Field("wav_request", "code", ("wav_request_flag",), required=False, texts=YES_OR_NO),
    Field("wav_match", "code", ("wav_match_flag",), required=False, texts=YES_OR_NO),
)
_SOURCE_COLUMNS = {field.name: field.aliases[0] for field in FIELDS if field.aliases}


def source_column(field: str, _: str) -> str:
    """Return the name of a column in the files.

    >>> source_column("company", "fhvhv"), source_column("tips", "fhvhv")
    ('hvfhs_license_num', 'tips')
    """
    return _SOURCE_COLUMNS.get(field, field)
