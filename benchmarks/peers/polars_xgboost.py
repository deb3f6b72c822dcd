"""polars and XGBoost in one process: what most would write today. Nulls are filled, so that XGBoost takes its dense path."""

from __future__ import annotations

import numpy as np
import polars as pl
import xgboost as xgb

from benchmarks.peers.common import COLUMNS, FEATURES, KEYS, NEEDED, Peer


def month(file: str, year: int, number: int) -> pl.LazyFrame:
    """Return a month's kept rows: eleven features, the label, and when the trip began."""
    begin, end = pl.col("tpep_pickup_datetime"), pl.col("tpep_dropoff_datetime")
    seconds = (end - begin).dt.total_seconds()
    weekday, hour = begin.dt.weekday() - 1, begin.dt.hour()
    real = pl.Float32
    return (
        pl.scan_parquet(file)
        .select(COLUMNS)
        .filter(
            pl.all_horizontal(pl.col(NEEDED).is_not_null()),
            begin.dt.year() == year,
            begin.dt.month() == number,
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
        month(str(file), year, number).collect()
        for file, (year, number) in zip(peer.files, peer.months, strict=True)
    ]
    peer.kept = sum(map(len, parts))
    peer.lap("read")
    train = pl.concat(parts[:-1])
    matrix = xgb.QuantileDMatrix(
        train.select(FEATURES).to_arrow(), label=train["high_tip"].to_numpy(), max_bin=256
    )
    del train
    peer.lap("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.lap("train")
    for where, part in zip(peer.months, parts, strict=True):
        chance = booster.inplace_predict(part.select(FEATURES).to_numpy())
        peer.lap("predict")
        part.select(KEYS).with_columns(
            pl.Series("probability", chance.astype(np.float32)), pl.Series("prediction", chance >= 0.5)
        ).write_parquet(peer.part(where))
        peer.lap("write")
    peer.tell()


if __name__ == "__main__":
    main()
