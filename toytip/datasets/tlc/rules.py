"""The cleaning rules of taxi trips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns
from toytip.core.dataset.declarations import rule
from toytip.core.dataset.trip_ids import file_month_index
from toytip.core.times import month_index

MAX_HOURS = 24
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
def unreadable_value(trips: Columns) -> BoolArray:
    """A value is not a time, a code or an amount, for example the text `ten` as a fare."""
    unreadable = trips.get("unreadable")
    return np.zeros(len(trips["trip_id"]), bool) if unreadable is None else np.asarray(unreadable, bool)


@rule
def missing_value(trips: Columns) -> BoolArray:
    """The pickup or dropoff time, the fare, the tip, the distance, or a zone is null."""
    missing = [pd.isna(trips[name]) for name in REQUIRED_COLUMNS]
    return np.asarray(np.logical_or.reduce(missing), bool)


@rule
def out_of_month(trips: Columns) -> BoolArray:
    """The pickup is not in the month of the file."""
    return np.not_equal(month_index(trips["pickup_at"]), file_month_index(trips["trip_id"]))


@rule
def non_positive_fare(trips: Columns) -> BoolArray:
    """The fare is zero or negative (a refund)."""
    return trips["fare_amount"] <= 0


@rule
def negative_tip(trips: Columns) -> BoolArray:
    """The tip is negative."""
    return trips["tip_amount"] < 0


@rule
def non_positive_duration(trips: Columns) -> BoolArray:
    """The dropoff is not after the pickup."""
    return trips["dropoff_at"] <= trips["pickup_at"]


@rule
def overlong_trip(trips: Columns) -> BoolArray:
    """The trip takes more than 24 hours. Probably, the meter was not stopped."""
    return trips["dropoff_at"] - trips["pickup_at"] > np.timedelta64(MAX_HOURS, "h")


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
