"""DuckDB and XGBoost in one process. SQL selects the rows and computes the features."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from benchmarks.peers.common import (
    DECISION_THRESHOLD,
    FEATURES,
    MAX_BIN,
    PREDICTION_COLUMNS,
    REQUIRED_COLUMNS,
    Peer,
)

QUERY = """
    with trips as (
        select *, tpep_pickup_datetime as pickup_at,
            date_diff('second', tpep_pickup_datetime, tpep_dropoff_datetime) as seconds,
            isodow(tpep_pickup_datetime) - 1 as weekday, hour(tpep_pickup_datetime) as hour_
        from read_parquet('{file}')
        where {not_null}
            and year(tpep_pickup_datetime) = {year} and month(tpep_pickup_datetime) = {month}
            and fare_amount > 0 and tip_amount >= 0
            and tpep_dropoff_datetime > tpep_pickup_datetime
            and tpep_dropoff_datetime - tpep_pickup_datetime <= interval 24 hours
            and trip_distance between 0 and 300)
    select weekday::float as pickup_weekday, hour_::float as pickup_hour,
        minute(pickup_at)::float as pickup_minute,
        (weekday < 5 and hour_ between 8 and 18)::int::float as work_hours,
        coalesce(passenger_count, -1)::float as passenger_count, trip_distance::float as trip_distance,
        seconds::float as trip_time, (trip_distance / seconds * 3600)::float as trip_speed,
        PULocationID::float as PULocationID, DOLocationID::float as DOLocationID,
        coalesce(RatecodeID, -1)::float as RatecodeID,
        tip_amount > 0.2 * fare_amount as high_tip, pickup_at
    from trips
"""


def main() -> None:
    """Read the year, train on all months except the last, and write the predictions of the year."""
    peer = Peer()
    database = duckdb.connect()
    database.execute(f"set threads = {peer.options.workers}")
    not_null = " and ".join(f"{name} is not null" for name in REQUIRED_COLUMNS)
    parts = [
        database.sql(QUERY.format(file=file, not_null=not_null, year=year, month=month)).to_arrow_table()
        for file, (year, month) in zip(peer.files, peer.months, strict=True)
    ]
    peer.accepted_rows = sum(map(len, parts))
    peer.record_stage("read")
    train = pa.concat_tables(parts[:-1])
    matrix = xgb.QuantileDMatrix(train.select(FEATURES), label=train["high_tip"].to_numpy(), max_bin=MAX_BIN)
    del train
    peer.record_stage("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.record_stage("train")
    for month, part in zip(peer.months, parts, strict=True):
        probability = booster.inplace_predict(part.select(FEATURES).to_pandas().to_numpy())
        peer.record_stage("predict")
        predictions = part.select(PREDICTION_COLUMNS).append_column("probability", pa.array(probability))
        predictions = predictions.append_column("prediction", pa.array(probability >= DECISION_THRESHOLD))
        pq.write_table(predictions, peer.prediction_file(month))
        peer.record_stage("write")
    peer.print_result()


if __name__ == "__main__":
    main()
