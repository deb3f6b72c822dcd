"""Trips for the golden sets of models, and placeholders for values that a model does not use."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from toytip.core.columns import Columns

# Placeholders for missing fields that the model does not need. No cleaning rule rejects these
# values, and no feature of the model depends on these fields. The tip is always missing, because it
# is not known when a trip is scored.
_PLACEHOLDER_VALUES: dict[str, Any] = {
    "tip_amount": 0.0,
    "fare_amount": 1.0,
    "trip_distance": 1.0,
    "DOLocationID": 264.0,
    "PULocationID": 264.0,
}
_USUAL_TRIP: dict[str, Any] = {
    "VendorID": 2,
    "passenger_count": 1,
    "trip_distance": 2.4,
    "PULocationID": 74,
    "DOLocationID": 75,
    "RatecodeID": 1,
    "payment_type": 1,
    "trip_type": 1,
    "fare_amount": 14.2,
    "extra": 0.5,
    "mta_tax": 0.5,
    "tolls_amount": 0.0,
    "improvement_surcharge": 1.0,
    "congestion_surcharge": 2.75,
    "airport_fee": 0.0,
    "cbd_congestion_fee": 0.0,
}
# Each trip of the golden set is the usual trip with changes: cash, missing values, an airport,
# unknown zones, extreme amounts, or rare codes.
_CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"payment_type": 2},
    {"passenger_count": None, "RatecodeID": None, "congestion_surcharge": None, "payment_type": 0},
    {
        "PULocationID": 132,
        "DOLocationID": 230,
        "fare_amount": 70.0,
        "RatecodeID": 2,
        "tolls_amount": 6.94,
    },
    {"PULocationID": 265, "DOLocationID": 9_999},
    {"trip_distance": 0.0, "fare_amount": 3.0},
    {"trip_distance": 25.3, "fare_amount": 88.88, "extra": 2.5},
    {"passenger_count": 6, "VendorID": 1, "trip_type": 2, "RatecodeID": 5, "fare_amount": 250.0},
)


def golden_rows(start: dt.datetime) -> list[dict[str, Any]]:
    """Return trips of a golden set, with usual, missing and unusual values."""
    trips = []
    for index, change in enumerate(_CHANGES):
        pickup = start + dt.timedelta(hours=7 * index + 1, minutes=13 * index)
        dropoff = pickup + dt.timedelta(minutes=3 + 4 * index)
        times = {"pickup_at": pickup.isoformat(), "dropoff_at": dropoff.isoformat()}
        trips.append({**times, **_USUAL_TRIP, **change})
    return trips


def placeholders(trips: Columns) -> dict[str, Any]:
    """Return a placeholder for each required field, except the pickup time."""
    return {**_PLACEHOLDER_VALUES, "dropoff_at": trips["pickup_at"] + np.timedelta64(1, "m")}
