"""The rows and features in pandas: for the peers that are written in it."""

from __future__ import annotations

import pandas as pd

from benchmarks.peers.common import REQUIRED_COLUMNS


def clean_trips(trips: pd.DataFrame, year: int, month: int) -> pd.DataFrame:
    """Return the rows of a month's file that toytip keeps."""
    trips = trips.dropna(subset=REQUIRED_COLUMNS)
    begin, end = trips["tpep_pickup_datetime"], trips["tpep_dropoff_datetime"]
    return trips[
        (begin.dt.year == year)
        & (begin.dt.month == month)
        & (trips["fare_amount"] > 0)
        & (trips["tip_amount"] >= 0)
        & (end > begin)
        & (end - begin <= pd.Timedelta(hours=24))
        & trips["trip_distance"].between(0, 300)
    ]


def compute_features(trips: pd.DataFrame) -> pd.DataFrame:
    """Return eleven features as float32, nulls filled, the label, and when each trip began."""
    begin = trips["tpep_pickup_datetime"]
    seconds = (trips["tpep_dropoff_datetime"] - begin).dt.total_seconds()
    weekday, hour = begin.dt.weekday, begin.dt.hour
    table = pd.DataFrame(
        {
            "pickup_weekday": weekday,
            "pickup_hour": hour,
            "pickup_minute": begin.dt.minute,
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
    return table.assign(high_tip=trips["tip_amount"] > 0.2 * trips["fare_amount"], pickup_at=begin)
