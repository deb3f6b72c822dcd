"""Select the kept rows and compute the features in pandas, for the engines that use pandas."""

from __future__ import annotations

import pandas as pd
from kit import REQUIRED_COLUMNS, first_trip_id


def clean_trips(trips: pd.DataFrame, year: int, month: int) -> pd.DataFrame:
    """Return the kept rows of a monthly file, with their trip IDs."""
    trips = trips.assign(trip_id=first_trip_id((year, month)) + trips.index.to_numpy())
    trips = trips.dropna(subset=REQUIRED_COLUMNS)
    pickup, dropoff = trips["tpep_pickup_datetime"], trips["tpep_dropoff_datetime"]
    return trips[
        (pickup.dt.year == year)
        & (pickup.dt.month == month)
        & (trips["fare_amount"] > 0)
        & (trips["tip_amount"] >= 0)
        & (dropoff > pickup)
        & (dropoff - pickup <= pd.Timedelta(hours=24))
        & trips["trip_distance"].between(0, 300)
    ]


def compute_features(trips: pd.DataFrame) -> pd.DataFrame:
    """Return eleven features as float32 without nulls, the label, and the trip ID."""
    pickup = trips["tpep_pickup_datetime"]
    seconds = (trips["tpep_dropoff_datetime"] - pickup).dt.total_seconds()
    weekday, hour = pickup.dt.weekday, pickup.dt.hour
    features = pd.DataFrame(
        {
            "pickup_weekday": weekday,
            "pickup_hour": hour,
            "pickup_minute": pickup.dt.minute,
            "work_hours": (weekday < 5) & hour.between(8, 18),
            "passenger_count": trips["passenger_count"].fillna(-1),
            "trip_distance": trips["trip_distance"],
            "trip_time": seconds,
            "trip_speed": trips["trip_distance"] / seconds * 3600,
            "PULocationID": trips["PULocationID"],
            "DOLocationID": trips["DOLocationID"],
            "RatecodeID": trips["RatecodeID"].fillna(-1),
        }
    ).astype("float32")
    return features.assign(
        high_tip=trips["tip_amount"] > 0.2 * trips["fare_amount"], trip_id=trips["trip_id"]
    )
