"""The layouts of the TLC's trip records, and the signs of a taxi type."""

from __future__ import annotations

from collections.abc import Collection

from toytip.core.dataset.field_names import spelling_of
from toytip.core.dataset.layout import Layout
from toytip.datasets.tlc.taxis.fields import TAXIS, match_fields, source_column

# Columns that only files of green taxis have.
_GREEN_SPELLINGS = {"triptype", "ehailfee"}
# Columns that only records of for-hire vehicles without high volume have.
_FHV_SPELLINGS = {"dispatchingbasenum", "dispatchingbasenumber"}
_COORDINATE_SPELLINGS = {"startlon", "pickuplongitude"}


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


def detect_fhv(names: Collection[str]) -> str | None:
    """Return `fhv` for a record of for-hire vehicles without high volume, or None for other files.

    >>> detect_fhv(["dispatching_base_num"]), detect_fhv(["extra"])
    ('fhv', None)
    """
    return "fhv" if _FHV_SPELLINGS & set(map(spelling_of, names)) else None


def detect_other_layout(names: Collection[str]) -> tuple[str, str] | None:
    """Return why files with these columns cannot be used, and a hint, or None for trip records.

    >>> detect_other_layout(["dispatching_base_num", "pickup_datetime", "PULocationID"])[0]
    'it is a record of for-hire vehicles (fhv)'
    """
    if detect_fhv(names):
        return "it is a record of for-hire vehicles (fhv)", "Use yellow, green or fhvhv trip records."
    if _COORDINATE_SPELLINGS & set(map(spelling_of, names)) and "PULocationID" not in match_fields(names):
        return (
            "it has the layout of 2009 and 2010, with coordinates and without zones",
            "Start with 2011: the TLC's Parquet files have zones since 2011.",
        )
    return None


LAYOUT = Layout(
    source_column=source_column,
    kinds_in_columns=taxis_in_names,
    detect_kind=detect_taxi,
    unusable_kind=detect_fhv,
    other_layout=detect_other_layout,
    # The newest of these columns in a file identifies the version of its schema.
    schema_versions=(
        ("cbd_congestion_fee", "since 2025 (cbd_congestion_fee)"),
        ("Airport_fee", "since 2023 (Airport_fee)"),
        ("airport_fee", "since 2021 (airport_fee)"),
        ("congestion_surcharge", "since 2019 (congestion_surcharge)"),
    ),
    oldest_schema_version="before 2019",
)
