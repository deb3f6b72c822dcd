"""Select the kept rows and compute the features in polars, for the engines that use polars."""

from __future__ import annotations

import polars as pl
from kit import YELLOW_TRIPS, Trips, first_trip_id


def read_month(file: str, year: int, month: int, trips: Trips = YELLOW_TRIPS) -> pl.LazyFrame:
    """Return the kept rows of a month, with the features, the label and the trip ID."""
    pickup, dropoff, distance = pl.col(trips.pickup), pl.col(trips.dropoff), pl.col(trips.distance)
    fare, tip = pl.col(trips.fare), pl.col(trips.tip)
    seconds = (dropoff - pickup).dt.total_seconds()
    weekday, hour = pickup.dt.weekday() - 1, pickup.dt.hour()
    # The files of some taxi types have the time of a trip.
    optional = {"trip_time": seconds.cast(pl.Float32)} | {
        name: pl.col(name).cast(pl.Float32).fill_null(-1) for name in trips.nullable
    }
    return (
        pl.scan_parquet(file)
        .select(trips.columns)
        .with_row_index("trip_id")
        .with_columns(pl.col("trip_id").cast(pl.Int64) + first_trip_id((year, month), trips.digits))
        .filter(
            pl.all_horizontal(pl.col(trips.required).is_not_null()),
            pickup.dt.year() == year,
            pickup.dt.month() == month,
            fare > 0,
            tip >= 0,
            dropoff > pickup,
            dropoff - pickup <= pl.duration(hours=24),
            distance.is_between(0, 300),
        )
        .select(
            weekday.cast(pl.Float32).alias("pickup_weekday"),
            hour.cast(pl.Float32).alias("pickup_hour"),
            pickup.dt.minute().cast(pl.Float32).alias("pickup_minute"),
            ((weekday < 5) & hour.is_between(8, 18)).cast(pl.Float32).alias("work_hours"),
            distance.cast(pl.Float32),
            (distance / seconds * 3600).cast(pl.Float32).alias("trip_speed"),
            pl.col("PULocationID").cast(pl.Float32),
            pl.col("DOLocationID").cast(pl.Float32),
            (tip > 0.2 * fare).alias("high_tip"),
            pl.col("trip_id"),
            **optional,
        )
    )
