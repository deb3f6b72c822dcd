"""Trips for the golden sets of models, and placeholders for values that a model does not use."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from toytip.core.columns import Columns

# No cleaning rule rejects these values, and no feature of the model depends on these fields.
_PLACEHOLDER_VALUES: dict[str, Any] = {
    "tips": 0.0,
    "base_passenger_fare": 1.0,
    "trip_miles": 1.0,
    "DOLocationID": 264.0,
    "PULocationID": 264.0,
}
_USUAL_TRIP: dict[str, Any] = {
    "company": "HV0003",
    "PULocationID": 74,
    "DOLocationID": 75,
    "trip_miles": 2.4,
    "trip_time": 780,
    "base_passenger_fare": 16.8,
    "tolls": 0.0,
    "bcf": 0.5,
    "sales_tax": 1.49,
    "congestion_surcharge": 2.75,
    "airport_fee": 0.0,
    "cbd_congestion_fee": 0.0,
    "driver_pay": 12.1,
    "shared_request": "N",
    "shared_match": "N",
    "access_a_ride": " ",
    "wav_request": "N",
    "wav_match": "N",
}
# Each trip of the golden set is the usual trip with changes: another company, shared rides, missing
# values, an airport, unknown zones, or extreme amounts.
_CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"company": "HV0005", "access_a_ride": "N"},
    {"shared_request": "Y", "shared_match": "Y"},
    {"company": None, "congestion_surcharge": None, "airport_fee": "None", "driver_pay": None},
    {
        "PULocationID": 132,
        "DOLocationID": 230,
        "base_passenger_fare": 68.0,
        "airport_fee": 2.5,
        "tolls": 6.94,
    },
    {"PULocationID": 265, "DOLocationID": 9_999},
    {"trip_miles": 0.0, "base_passenger_fare": 3.0},
    {"trip_miles": 25.3, "base_passenger_fare": 188.88, "wav_request": "Y", "wav_match": "Y"},
)


def golden_rows(start: dt.datetime) -> list[dict[str, Any]]:
    """Return trips of a golden set, with usual, missing and unusual values."""
    trips = []
    for index, change in enumerate(_CHANGES):
        pickup = start + dt.timedelta(hours=7 * index + 1, minutes=13 * index)
        times = {
            "request_at": (pickup - dt.timedelta(minutes=4 + index)).isoformat(),
            "pickup_at": pickup.isoformat(),
            "dropoff_at": (pickup + dt.timedelta(minutes=3 + 4 * index)).isoformat(),
        }
        trips.append({**times, **_USUAL_TRIP, **change})
    return trips


def placeholders(trips: Columns) -> dict[str, Any]:
    """Return a placeholder for each required field, except the pickup time."""
    return {**_PLACEHOLDER_VALUES, "dropoff_at": trips["pickup_at"] + np.timedelta64(1, "m")}
