"""The cleaning rules of taxi trips."""

from __future__ import annotations

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns
from toytip.core.dataset.declarations import rule
from toytip.datasets.row_rules import any_missing, unreadable_value
from toytip.datasets.tlc.rides import non_positive_duration, out_of_month, overlong_trip

MAX_MILES = 300
REQUIRED_COLUMNS = (
    "pickup_at",
    "dropoff_at",
    "fare_amount",
    "tip_amount",
    "trip_distance",
    "PULocationID",
    "DOLocationID",
)


@rule
def missing_value(trips: Columns) -> BoolArray:
    """The pickup or dropoff time, the fare, the tip, the distance, or a zone is null."""
    return any_missing(trips, REQUIRED_COLUMNS)


@rule
def non_positive_fare(trips: Columns) -> BoolArray:
    """The fare is zero or negative (a refund)."""
    return trips["fare_amount"] <= 0


@rule
def negative_tip(trips: Columns) -> BoolArray:
    """The tip is negative."""
    return trips["tip_amount"] < 0


@rule
def implausible_distance(trips: Columns) -> BoolArray:
    """The distance is negative or more than 300 miles."""
    return (trips["trip_distance"] < 0) | (trips["trip_distance"] > MAX_MILES)


RULES = (
    unreadable_value,
    missing_value,
    out_of_month,
    non_positive_fare,
    negative_tip,
    non_positive_duration,
    overlong_trip,
    implausible_distance,
)
