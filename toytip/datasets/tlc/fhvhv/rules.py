"""The cleaning rules of trips in high-volume for-hire vehicles."""

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
    "base_passenger_fare",
    "tips",
    "trip_miles",
    "PULocationID",
    "DOLocationID",
)


@rule
def missing_value(trips: Columns) -> BoolArray:
    """The pickup or dropoff time, the fare, the tip, the distance, or a zone is null."""
    return any_missing(trips, REQUIRED_COLUMNS)


@rule
def non_positive_fare(trips: Columns) -> BoolArray:
    """The fare is zero or negative (a refund or a promotion)."""
    return trips["base_passenger_fare"] <= 0


@rule
def negative_tip(trips: Columns) -> BoolArray:
    """The tip is negative."""
    return trips["tips"] < 0


@rule
def implausible_distance(trips: Columns) -> BoolArray:
    """The distance is negative or more than 300 miles."""
    return (trips["trip_miles"] < 0) | (trips["trip_miles"] > MAX_MILES)


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
