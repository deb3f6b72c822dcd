"""Select the kept rows and compute the features in polars, for the engines that use polars."""

from __future__ import annotations

import polars as pl
from kit import READ_COLUMNS, REQUIRED_COLUMNS, first_trip_id


def read_month(file: str, year: int, month: int) -> pl.LazyFrame:
    """Return the kept rows of a month, with eleven features, the label and the trip ID."""
    pickup, dropoff = pl.col("tpep_pickup_datetime"), pl.col("tpep_dropoff_datetime")
    seconds = (dropoff - pickup).dt.total_seconds()
    weekday, hour = pickup.dt.weekday() - 1, pickup.dt.hour()
    return (
        pl.scan_parquet(file)
        .select(READ_COLUMNS)
        .with_row_index("trip_id")
        .with_columns(pl.col("trip_id").cast(pl.Int64) + first_trip_id((year, month)))
        .filter(
            pl.all_horizontal(pl.col(REQUIRED_COLUMNS).is_not_null()),
            pickup.dt.year() == year,
            pickup.dt.month() == month,
            pl.col("fare_amount") > 0,
            pl.col("tip_amount") >= 0,
            dropoff > pickup,
            dropoff - pickup <= pl.duration(hours=24),
            pl.col("trip_distance").is_between(0, 300),
        )
        .select(
            weekday.cast(pl.Float32).alias("pickup_weekday"),
            hour.cast(pl.Float32).alias("pickup_hour"),
            pickup.dt.minute().cast(pl.Float32).alias("pickup_minute"),
            ((weekday < 5) & hour.is_between(8, 18)).cast(pl.Float32).alias("work_hours"),
            pl.col("passenger_count").cast(pl.Float32).fill_null(-1),
            pl.col("trip_distance").cast(pl.Float32),
            seconds.cast(pl.Float32).alias("trip_time"),
            (pl.col("trip_distance") / seconds * 3600).cast(pl.Float32).alias("trip_speed"),
            pl.col("PULocationID").cast(pl.Float32),
            pl.col("DOLocationID").cast(pl.Float32),
            pl.col("RatecodeID").cast(pl.Float32).fill_null(-1),
            (pl.col("tip_amount") > 0.2 * pl.col("fare_amount")).alias("high_tip"),
            pl.col("trip_id"),
        )
    )
