"""polars and XGBoost in one process: what most would write today. Nulls are filled, so that XGBoost takes its dense path."""

from __future__ import annotations

import numpy as np
import polars as pl
import xgboost as xgb

from benchmarks.peers.common import FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, REQUIRED_COLUMNS, Peer


def read_month(file: str, year: int, month: int) -> pl.LazyFrame:
    """Return a month's kept rows: eleven features, the label, and when the trip began."""
    begin, end = pl.col("tpep_pickup_datetime"), pl.col("tpep_dropoff_datetime")
    seconds = (end - begin).dt.total_seconds()
    weekday, hour = begin.dt.weekday() - 1, begin.dt.hour()
    real = pl.Float32
    return (
        pl.scan_parquet(file)
        .select(READ_COLUMNS)
        .filter(
            pl.all_horizontal(pl.col(REQUIRED_COLUMNS).is_not_null()),
            begin.dt.year() == year,
            begin.dt.month() == month,
            pl.col("fare_amount") > 0,
            pl.col("tip_amount") >= 0,
            end > begin,
            end - begin <= pl.duration(hours=24),
            pl.col("trip_distance").is_between(0, 300),
        )
        .select(
            weekday.cast(real).alias("pickup_weekday"),
            hour.cast(real).alias("pickup_hour"),
            begin.dt.minute().cast(real).alias("pickup_minute"),
            ((weekday < 5) & hour.is_between(8, 18)).cast(real).alias("work_hours"),
            pl.col("passenger_count").cast(real).fill_null(-1),
            pl.col("trip_distance").cast(real),
            seconds.cast(real).alias("trip_time"),
            (pl.col("trip_distance") / seconds * 3600).cast(real).alias("trip_speed"),
            pl.col("PULocationID").cast(real),
            pl.col("DOLocationID").cast(real),
            pl.col("RatecodeID").cast(real).fill_null(-1),
            (pl.col("tip_amount") > 0.2 * pl.col("fare_amount")).alias("high_tip"),
            begin.alias("pickup_at"),
        )
    )


def main() -> None:
    """Read, train on all months but the last, predict the year, write it."""
    peer = Peer()
    parts = [
        read_month(str(file), year, number).collect()
        for file, (year, number) in zip(peer.files, peer.months, strict=True)
    ]
    peer.kept = sum(map(len, parts))
    peer.record_lap("read")
    train = pl.concat(parts[:-1])
    matrix = xgb.QuantileDMatrix(
        train.select(FEATURES).to_arrow(), label=train["high_tip"].to_numpy(), max_bin=256
    )
    del train
    peer.record_lap("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.record_lap("train")
    for where, part in zip(peer.months, parts, strict=True):
        chance = booster.inplace_predict(part.select(FEATURES).to_numpy())
        peer.record_lap("predict")
        part.select(PREDICTION_COLUMNS).with_columns(
            pl.Series("probability", chance.astype(np.float32)), pl.Series("prediction", chance >= 0.5)
        ).write_parquet(peer.prediction_file(where))
        peer.record_lap("write")
    peer.print_result()


if __name__ == "__main__":
    main()
