"""polars and XGBoost in one process, with the work of `toytip run` and its default settings.

The script reads yellow or green months, computes the features of the feature set `payment`, trains
with early stopping on the second to last month, selects the decision threshold on this month, and
computes the metrics of the last month.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xgboost as xgb
from sklearn.metrics import f1_score, log_loss, precision_recall_curve, roc_auc_score

from benchmarks.peers.common import PREDICTION_COLUMNS, Peer

CODES = [
    "passenger_count",
    "PULocationID",
    "VendorID",
    "trip_type",
    "DOLocationID",
    "RatecodeID",
    "payment_type",
]
AMOUNTS = [
    "trip_distance",
    "fare_amount",
    "extra",
    "mta_tax",
    "tolls_amount",
    "improvement_surcharge",
    "congestion_surcharge",
    "airport_fee",
    "cbd_congestion_fee",
]
COMPUTED = ["pickup_weekday", "pickup_hour", "pickup_minute", "work_hours", "trip_time", "trip_speed"]
# The share of high tips of earlier card trips, by zone and by pair of zones.
ZONE_RATES = {
    "pickup_zone_rate": ["PULocationID"],
    "dropoff_zone_rate": ["DOLocationID"],
    "zone_pair_rate": ["PULocationID", "DOLocationID"],
}
CARD, SMOOTHING = 1, 20


def read_month(file: Path, year: int, month: int) -> pl.DataFrame:
    """Return the accepted rows of a month, with the features, the label and the pickup time."""
    frame = pl.scan_parquet(file)
    names = {name.lower(): name for name in frame.collect_schema().names()}
    taxi = "tpep" if "tpep_pickup_datetime" in names else "lpep"
    pickup, dropoff = pl.col(f"{taxi}_pickup_datetime"), pl.col(f"{taxi}_dropoff_datetime")
    seconds = (dropoff - pickup).dt.total_microseconds() / 1e6
    weekday, hour = pickup.dt.weekday() - 1, pickup.dt.hour()
    miles, fare, tip = pl.col("trip_distance"), pl.col("fare_amount"), pl.col("tip_amount")
    required = [pickup, dropoff, miles, fare, tip, pl.col("PULocationID"), pl.col("DOLocationID")]
    return (
        frame.filter(
            *(column.is_not_null() for column in required),
            pickup.dt.year() == year,
            pickup.dt.month() == month,
            fare > 0,
            tip >= 0,
            dropoff > pickup,
            dropoff - pickup <= pl.duration(hours=24),
            miles.is_between(0, 300),
        )
        .select(
            weekday.alias("pickup_weekday"),
            hour.alias("pickup_hour"),
            pickup.dt.minute().alias("pickup_minute"),
            ((weekday < 5) & hour.is_between(8, 18)).alias("work_hours"),
            seconds.alias("trip_time"),
            (miles / (seconds / 3600)).alias("trip_speed"),
            *(_column(names, code).cast(pl.Int32).alias(code) for code in CODES),
            *(_column(names, amount).cast(pl.Float32).alias(amount) for amount in AMOUNTS),
            (tip > 0.2 * fare).alias("high_tip"),
            pickup.alias("pickup_at"),
        )
        .collect()
    )


def _column(names: dict[str, str], name: str) -> pl.Expr:
    """Return a column in any spelling, or nulls if the file does not have it."""
    return pl.col(names[name.lower()]) if name.lower() in names else pl.lit(None)


def add_zone_rates(months: list[pl.DataFrame], train_months: int) -> list[pl.DataFrame]:
    """Add the zone rates. Those of a month come from the training months that precede it."""
    zones = ZONE_RATES["zone_pair_rate"]
    counts = [
        month.filter(pl.col("payment_type") == CARD)
        .group_by(zones)
        .agg(pl.len().alias("trips"), pl.col("high_tip").sum().alias("tips"))
        for month in months[:train_months]
    ]
    return [
        _with_rates(month, pl.concat(earlier))
        if (earlier := counts[: min(index, train_months)])
        else month.with_columns(pl.lit(None, pl.Float32).alias(name) for name in ZONE_RATES)
        for index, month in enumerate(months)
    ]


def _with_rates(month: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    mean = counts["tips"].sum() / counts["trips"].sum()
    rate = (pl.col("tips").sum() + SMOOTHING * mean) / (pl.col("trips").sum() + SMOOTHING)
    for name, zones in ZONE_RATES.items():
        rates = counts.group_by(zones).agg(rate.cast(pl.Float32).alias(name))
        month = month.join(rates, on=zones, how="left").with_columns(pl.col(name).fill_null(mean))
    return month


def best_threshold(label: npt.NDArray[Any], probability: npt.NDArray[Any]) -> float:
    """Return the decision threshold with the highest F1."""
    precision, recall, thresholds = precision_recall_curve(label, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[f1[:-1].argmax()])


def main() -> None:
    """Train with early stopping, write the predictions of the year, and compute the metrics."""
    peer = Peer()
    months = [read_month(file, *month) for file, month in zip(peer.files, peer.months, strict=True)]
    peer.accepted_rows = sum(map(len, months))
    peer.record_stage("read")
    months = add_zone_rates(months, len(months) - 2)
    train, validation = pl.concat(months[:-2]), months[-2]
    candidates = [*COMPUTED, *CODES, *AMOUNTS, *ZONE_RATES]
    peer.features = [name for name in candidates if train[name].null_count() < len(train)]
    inputs = [pl.col(name).cast(pl.Float32).fill_null(-1) for name in peer.features]
    labels = [month["high_tip"].to_numpy() for month in months]
    train_matrix = xgb.QuantileDMatrix(train.select(inputs).to_arrow(), label=train["high_tip"].to_numpy())
    validation_matrix = xgb.QuantileDMatrix(
        validation.select(inputs).to_arrow(), label=labels[-2], ref=train_matrix
    )
    del train
    peer.record_stage("bin")
    booster = xgb.train(
        {**peer.params(), "eval_metric": "logloss"},
        train_matrix,
        peer.options.rounds,
        evals=[(validation_matrix, "validation")],
        early_stopping_rounds=peer.options.early_stopping_rounds,
        verbose_eval=False,
    )
    peer.model_rounds = booster.best_iteration + 1
    peer.record_stage("train")
    scores = [
        booster.inplace_predict(month.select(inputs).to_numpy(), iteration_range=(0, peer.model_rounds))
        for month in months
    ]
    threshold = best_threshold(labels[-2], scores[-2])
    peer.record_stage("predict")
    for month, frame, score in zip(peer.months, months, scores, strict=True):
        predictions = frame.select(PREDICTION_COLUMNS).with_columns(
            pl.Series("probability", score), pl.Series("prediction", score >= threshold)
        )
        predictions.write_parquet(peer.prediction_file(month))
    peer.record_stage("write")
    peer.metrics = {
        "auc": roc_auc_score(labels[-1], scores[-1]),
        "log_loss": log_loss(labels[-1], scores[-1]),
        "f1": f1_score(labels[-1], scores[-1] >= threshold),
    }
    peer.record_stage("evaluate")
    peer.print_result()


if __name__ == "__main__":
    main()
