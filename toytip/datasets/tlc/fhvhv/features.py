"""The features and the label of trips in high-volume for-hire vehicles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toytip.core.columns import Columns
from toytip.core.dataset.declarations import Feature, column_feature, feature, label
from toytip.core.schema import Column, nullable_int
from toytip.core.times import seconds_between
from toytip.datasets.tlc.rides import HIGH_TIP_WORDS, TIME_FEATURES

HIGH_TIP_RATIO = 0.2


@feature(available="pickup", needs=["request_at", "pickup_at"], dtype="float32")
def wait_time(trips: Columns) -> npt.ArrayLike:
    """Return the seconds from the request to the pickup. NaN if the request time is missing."""
    waits = seconds_between(trips["request_at"], trips["pickup_at"])
    return np.where(np.isnat(trips["request_at"]), np.nan, waits)


@feature(available="dropoff", needs=["pickup_at", "dropoff_at", "trip_miles"], dtype="float32", repeats=False)
def trip_speed(trips: Columns) -> npt.ArrayLike:
    """Return the mean speed in miles per hour."""
    hours = seconds_between(trips["pickup_at"], trips["dropoff_at"]) / 3600
    return trips["trip_miles"] / hours


def _amount_feature(name: str, available: str = "dropoff") -> Feature:
    return column_feature(available, Column(name, "float32"))


FEATURES: tuple[Feature, ...] = (
    *TIME_FEATURES,
    column_feature("pickup", Column("PULocationID", "int32")),
    column_feature("pickup", nullable_int("company")),
    column_feature("pickup", nullable_int("shared_request")),
    column_feature("pickup", nullable_int("access_a_ride")),
    column_feature("pickup", nullable_int("wav_request")),
    wait_time,
    column_feature("dropoff", Column("DOLocationID", "int32")),
    column_feature("dropoff", nullable_int("shared_match")),
    column_feature("dropoff", nullable_int("wav_match")),
    _amount_feature("trip_miles"),
    _amount_feature("trip_time"),
    trip_speed,
    _amount_feature("base_passenger_fare"),
    _amount_feature("tolls"),
    _amount_feature("bcf"),
    _amount_feature("sales_tax"),
    _amount_feature("congestion_surcharge"),
    _amount_feature("airport_fee"),
    _amount_feature("cbd_congestion_fee"),
    _amount_feature("driver_pay", "payment"),
)

SEED_FEATURES = (
    "pickup_weekday",
    "pickup_hour",
    "pickup_minute",
    "work_hours",
    "trip_miles",
    "trip_time",
    "trip_speed",
    "PULocationID",
    "DOLocationID",
)


@label(needs=["tips", "base_passenger_fare"], settled="the tip is paid", words=HIGH_TIP_WORDS)
def high_tip(trips: Columns) -> npt.ArrayLike:
    """Return whether the tip exceeds 20 % of the fare."""
    return trips["tips"] > HIGH_TIP_RATIO * trips["base_passenger_fare"]
