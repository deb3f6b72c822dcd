"""The features, the label and the segment of taxi trips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toytip.core.columns import Columns
from toytip.core.dataset.declarations import (
    Feature,
    column_feature,
    feature,
    label,
    segment,
)
from toytip.core.schema import Column, nullable_int
from toytip.core.times import seconds_between
from toytip.datasets.tlc.rides import HIGH_TIP_WORDS, TIME_FEATURES
from toytip.datasets.tlc.taxis.words import CARD_WORDS

HIGH_TIP_RATIO = 0.2
CARD_PAYMENT_TYPE = 1


@feature(available="dropoff", needs=["pickup_at", "dropoff_at"], dtype="float32")
def trip_time(trips: Columns) -> npt.ArrayLike:
    """Return the duration in seconds."""
    return seconds_between(trips["pickup_at"], trips["dropoff_at"])


@feature(
    available="dropoff", needs=["pickup_at", "dropoff_at", "trip_distance"], dtype="float32", repeats=False
)
def trip_speed(trips: Columns) -> npt.ArrayLike:
    """Return the mean speed in miles per hour."""
    hours = seconds_between(trips["pickup_at"], trips["dropoff_at"]) / 3600
    return trips["trip_distance"] / hours


def _amount_feature(name: str) -> Feature:
    return column_feature("dropoff", Column(name, "float32"))


FEATURES: tuple[Feature, ...] = (
    *TIME_FEATURES,
    column_feature("pickup", nullable_int("passenger_count")),
    column_feature("pickup", Column("PULocationID", "int32")),
    column_feature("pickup", nullable_int("VendorID")),
    column_feature("pickup", nullable_int("trip_type")),
    column_feature("dropoff", Column("DOLocationID", "int32")),
    _amount_feature("trip_distance"),
    trip_time,
    trip_speed,
    column_feature("dropoff", nullable_int("RatecodeID")),
    _amount_feature("fare_amount"),
    _amount_feature("extra"),
    _amount_feature("mta_tax"),
    _amount_feature("tolls_amount"),
    _amount_feature("improvement_surcharge"),
    _amount_feature("congestion_surcharge"),
    _amount_feature("airport_fee"),
    _amount_feature("cbd_congestion_fee"),
    column_feature("payment", nullable_int("payment_type")),
)

SEED_FEATURES = (
    "pickup_weekday",
    "pickup_hour",
    "pickup_minute",
    "work_hours",
    "passenger_count",
    "trip_distance",
    "trip_time",
    "trip_speed",
    "PULocationID",
    "DOLocationID",
    "RatecodeID",
)


@label(needs=["tip_amount", "fare_amount"], settled="the tip is paid", words=HIGH_TIP_WORDS)
def high_tip(trips: Columns) -> npt.ArrayLike:
    """Return whether the tip exceeds 20 % of the fare."""
    return trips["tip_amount"] > HIGH_TIP_RATIO * trips["fare_amount"]


@segment(needs=["payment_type"], words=CARD_WORDS, same_slice=("payment_type", "1"))
def card(trips: Columns) -> npt.ArrayLike:
    """Return whether the trip was paid by card. Cash tips are not recorded."""
    return np.equal(trips["payment_type"], CARD_PAYMENT_TYPE)
