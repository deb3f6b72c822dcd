"""polars and XGBoost in one process. Nulls are filled, so that XGBoost uses its dense path."""

from __future__ import annotations

import numpy as np
import polars as pl
import xgboost as xgb

from benchmarks.peers.common import (
    DECISION_THRESHOLD,
    FEATURES,
    MAX_BIN,
    PREDICTION_COLUMNS,
    READ_COLUMNS,
    REQUIRED_COLUMNS,
    Peer,
)


def read_month(file: str, year: int, month: int) -> pl.LazyFrame:
    """Return the accepted rows of a month, with eleven features, the label and the pickup time."""
    pickup, dropoff = pl.col("tpep_pickup_datetime"), pl.col("tpep_dropoff_datetime")
    seconds = (dropoff - pickup).dt.total_seconds()
    weekday, hour = pickup.dt.weekday() - 1, pickup.dt.hour()
    return (
        pl.scan_parquet(file)
        .select(READ_COLUMNS)
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
            pickup.alias("pickup_at"),
        )
    )


def main() -> None:
    """Read the year, train on all months except the last, and write the predictions of the year."""
    peer = Peer()
    parts = [
        read_month(str(file), year, month).collect()
        for file, (year, month) in zip(peer.files, peer.months, strict=True)
    ]
    peer.accepted_rows = sum(map(len, parts))
    peer.record_stage("read")
    train = pl.concat(parts[:-1])
    matrix = xgb.QuantileDMatrix(
        train.select(FEATURES).to_arrow(), label=train["high_tip"].to_numpy(), max_bin=MAX_BIN
    )
    del train
    peer.record_stage("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.record_stage("train")
    for month, part in zip(peer.months, parts, strict=True):
        probability = booster.inplace_predict(part.select(FEATURES).to_numpy())
        peer.record_stage("predict")
        predictions = part.select(PREDICTION_COLUMNS).with_columns(
            pl.Series("probability", probability.astype(np.float32)),
            pl.Series("prediction", probability >= DECISION_THRESHOLD),
        )
        predictions.write_parquet(peer.prediction_file(month))
        peer.record_stage("write")
    peer.print_result()


if __name__ == "__main__":
    main()
