"""The synthetic year: trips in the form in which the TLC publishes high-volume for-hire vehicles.

Companies, waits, fares, pay and tips are related as in real months. Invalid rows are of the same
kinds as in real months, and their numbers are known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from toytip.core.arrays import Float64Array, Int64Array
from toytip.core.dataset.synthetic import SyntheticFiles, SyntheticSpec
from toytip.core.months import Month
from toytip.datasets.tlc.fhvhv.names import DRIFT_KINDS
from toytip.datasets.tlc.synthetic_city import (
    AIRPORTS,
    CENTER_RADIUS,
    KILOMETERS_PER_MILE,
    MONTHLY_DRIFT,
    SYNTHETIC_MONTHS,
    City,
    Rides,
    choose_rows,
    city_map,
    count_invalid_rows,
    draw_bernoulli,
    draw_rides,
    month_rows,
)

# Share of a month's rows that each cleaning rule must reject.
INVALID_ROW_SHARES = {
    "missing_value": 0.0005,
    "out_of_month": 0.0004,
    "non_positive_fare": 0.002,
    "negative_tip": 0.0002,
    "non_positive_duration": 0.0003,
    "overlong_trip": 0.0002,
    "implausible_distance": 0.0004,
}
# In earlier files, the column `airport_fee` is the text `None`.
FIRST_AIRPORT_FEE = Month(2021, 1)
AIRPORT_FEE, CONGESTION_SURCHARGE, TOLL = 2.5, 2.75, 6.94
BLACK_CAR_FUND, SALES_TAX = 0.03, 0.08875
_SECOND = np.timedelta64(1, "s")


def month_file_name(month: Month) -> str:
    """Return the name that the TLC gives to the file of a month.

    >>> month_file_name(Month(2023, 1))
    'fhvhv_tripdata_2023-01.parquet'
    """
    return f"fhvhv_tripdata_{month}.parquet"


def invalid_rows(month: Month, rows_per_month: int) -> dict[str, int]:
    """Return the exact number of rows in a month's file that each cleaning rule must reject."""
    return count_invalid_rows(month_rows(month, rows_per_month), INVALID_ROW_SHARES)


def generate_month(month: Month, spec: SyntheticSpec) -> pa.Table:
    """Return the raw trips of a month, with the TLC's column names and types.

    Equal months and parameters give equal tables.
    """
    rng = np.random.default_rng([spec.seed, month.year, month.month, 3])
    rows = month_rows(month, spec.rows_per_month)
    city = city_map()
    drift = float(MONTHLY_DRIFT[month.month - 1]) if spec.drift else 0.0
    rides = draw_rides(rng, city, month, rows, drift)
    trips = _draw_times(rng, rides) | _draw_amounts(rng, city, rides) | _draw_flags(rng, rows)
    del rides
    _inject_drift(np.random.default_rng([spec.seed, month.year, month.month, 4]), trips, spec.injected_drift)
    _add_invalid_rows(rng, trips, month, invalid_rows(month, spec.rows_per_month))
    if month < FIRST_AIRPORT_FEE:
        trips["airport_fee"] = np.full(rows, "None", object)
    # Each array is freed as soon as its column exists, because a month can have 20 million rows.
    return pa.table({name: _arrow_column(name, trips.pop(name)) for name in COLUMN_TYPES})


# The columns in the order of the published files.
COLUMN_TYPES = {
    "hvfhs_license_num": pa.string(),
    "dispatching_base_num": pa.string(),
    "originating_base_num": pa.string(),
    "request_datetime": pa.timestamp("us"),
    "on_scene_datetime": pa.timestamp("us"),
    "pickup_datetime": pa.timestamp("us"),
    "dropoff_datetime": pa.timestamp("us"),
    "PULocationID": pa.int64(),
    "DOLocationID": pa.int64(),
    "trip_miles": pa.float64(),
    "trip_time": pa.int64(),
    "base_passenger_fare": pa.float64(),
    "tolls": pa.float64(),
    "bcf": pa.float64(),
    "sales_tax": pa.float64(),
    "congestion_surcharge": pa.float64(),
    "airport_fee": None,
    "tips": pa.float64(),
    "driver_pay": pa.float64(),
    "shared_request_flag": pa.string(),
    "shared_match_flag": pa.string(),
    "access_a_ride_flag": pa.string(),
    "wav_request_flag": pa.string(),
    "wav_match_flag": pa.string(),
}


def _draw_times(rng: np.random.Generator, rides: Rides) -> dict[str, Any]:
    rows = len(rides.start)
    wait = rng.gamma(3, 80, rows).astype("timedelta64[s]")
    company = rng.choice(["HV0003", "HV0005"], rows, p=[0.73, 0.27])
    on_scene = rides.pickup - rng.integers(0, 90, rows).astype("timedelta64[s]")
    is_uber = company == "HV0003"
    base = np.full(rows, None, object)
    base[is_uber] = "B02764"
    return {
        "hvfhs_license_num": company,
        "dispatching_base_num": np.where(is_uber, "B02764", "B02510"),
        # Lyft does not report when the driver arrives, and from which base.
        "originating_base_num": base,
        "request_datetime": rides.pickup - wait,
        "on_scene_datetime": np.where(is_uber, on_scene, np.datetime64("NaT", "us")),
        "pickup_datetime": rides.pickup,
        "dropoff_datetime": rides.pickup + rides.seconds.astype("timedelta64[s]"),
        "PULocationID": (rides.start + 1).astype(float),
        "DOLocationID": (rides.end + 1).astype(float),
        "trip_miles": rides.distance,
        "trip_time": rides.seconds,
    }


def _draw_amounts(rng: np.random.Generator, city: City, rides: Rides) -> dict[str, Any]:
    rows, preference = len(rides.start), city.card_preference
    surge = 1 + 0.5 * rides.rush * rng.random(rows)
    metered = 2.6 + 1.7 * rides.distance + 0.008 * rides.seconds
    fare = np.maximum(7.0, np.round(metered * surge, 2)).astype(np.float64)
    airport = np.isin(rides.start + 1, AIRPORTS) | np.isin(rides.end + 1, AIRPORTS)
    center = (city.radius[rides.start] < CENTER_RADIUS) | (city.radius[rides.end] < CENTER_RADIUS)
    logit = -0.9 + 0.8 * preference[rides.start] + 0.5 * preference[rides.end] - 0.015 * (fare - 18)
    tolls = np.where(airport & (rng.random(rows) < 0.5), TOLL, 0.0)
    return {
        "base_passenger_fare": fare,
        "tolls": tolls,
        "bcf": np.round((fare + tolls) * BLACK_CAR_FUND, 2),
        "sales_tax": np.round((fare + tolls) * SALES_TAX, 2),
        "congestion_surcharge": np.where(center, CONGESTION_SURCHARGE, 0.0),
        "airport_fee": np.where(airport, AIRPORT_FEE, 0.0),
        "tips": _draw_tips(rng, logit, fare),
        "driver_pay": np.round(fare * rng.uniform(0.65, 0.85, rows), 2),
    }


def _draw_tips(rng: np.random.Generator, logit: Float64Array, fare: Float64Array) -> Float64Array:
    """Return tips: 25 or 30 % of the fare, whole dollars, or none, which most passengers give."""
    rows = len(fare)
    by_button = np.round(fare * rng.choice([0.25, 0.3], rows, p=[0.7, 0.3]), 2)
    dollars = np.minimum(rng.choice([1.0, 2.0, 3.0], rows), np.floor(0.2 * fare))
    low = np.where(rng.random(rows) < 0.25, dollars, 0.0)
    return np.where(draw_bernoulli(rng, logit), by_button, low)


def _draw_flags(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    shared = rng.random(rows) < 0.03
    accessible = rng.random(rows) < 0.002
    return {
        "shared_request_flag": _flags(shared),
        "shared_match_flag": _flags(shared & (rng.random(rows) < 0.4)),
        "access_a_ride_flag": np.where(rng.random(rows) < 0.7, " ", "N"),
        "wav_request_flag": _flags(accessible),
        "wav_match_flag": _flags(accessible | (rng.random(rows) < 0.06)),
    }


def _flags(mask: Any) -> Any:
    return np.where(mask, "Y", "N")


def _inject_drift(rng: np.random.Generator, trips: dict[str, Any], kind: str | None) -> None:
    """Add a drift of one kind to the trips, in place.

    - `distance`: distances are in kilometers instead of miles.
    - `skill`: high tips are shuffled among the trips, so that their share stays the same.
    """
    if kind == "distance":
        trips["trip_miles"] = np.round(trips["trip_miles"] * KILOMETERS_PER_MILE, 2)
    elif kind == "skill":
        fare = trips["base_passenger_fare"]
        high = rng.permutation(trips["tips"] > 0.2 * fare)
        trips["tips"] = np.round(fare * np.where(high, 0.25, 0.1), 2)


def _add_invalid_rows(
    rng: np.random.Generator, trips: dict[str, Any], month: Month, counts: dict[str, int]
) -> None:
    """Make as many rows invalid per reason as `counts` says, in place. Each row gets one reason."""
    chosen = choose_rows(rng, len(trips["tips"]), counts)
    for index, name in enumerate(("base_passenger_fare", "tips", "PULocationID")):
        trips[name][chosen["missing_value"][index::3]] = np.nan
    pickup, dropoff = trips["pickup_datetime"], trips["dropoff_datetime"]
    _move_out_of_month(trips, chosen["out_of_month"], month)
    rows = chosen["non_positive_fare"]
    trips["base_passenger_fare"][rows] = np.where(np.arange(len(rows)) % 2, 0.0, -4.5)
    trips["tips"][rows] = 0.0
    trips["tips"][chosen["negative_tip"]] = -1.0
    rows = chosen["non_positive_duration"]
    dropoff[rows] = pickup[rows] - np.arange(len(rows)) % 2 * 60 * _SECOND
    rows = chosen["overlong_trip"]
    dropoff[rows] = pickup[rows] + (24 * 3600 + 37) * _SECOND
    rows = chosen["implausible_distance"]
    trips["trip_miles"][rows] = np.where(np.arange(len(rows)) % 2, -3.2, 12_345.6)


def _move_out_of_month(trips: dict[str, Any], rows: Int64Array, month: Month) -> None:
    """Move rides into the hours before the month and after it."""
    outside = np.array([month.next.start, month.start], "datetime64[us]")[np.arange(len(rows)) % 2]
    outside -= np.arange(len(rows)) % 2 * _SECOND
    shift = outside - trips["pickup_datetime"][rows]
    for name in ("request_datetime", "on_scene_datetime", "pickup_datetime", "dropoff_datetime"):
        trips[name][rows] += shift


def _arrow_column(name: str, values: Any) -> pa.Array:
    arrow_type = COLUMN_TYPES[name]
    if arrow_type == pa.int64() and values.dtype.kind == "f":
        return pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
    return pa.array(values, arrow_type, from_pandas=True)


SYNTHETIC = SyntheticFiles(
    kind="fhvhv",
    months=SYNTHETIC_MONTHS,
    drift_kinds=DRIFT_KINDS,
    file_name=month_file_name,
    generate_month=generate_month,
)
