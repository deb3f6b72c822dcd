"""pandas and XGBoost in one process."""

from __future__ import annotations

import pandas as pd
import xgboost as xgb

from benchmarks.peers.common import (
    DECISION_THRESHOLD,
    FEATURES,
    MAX_BIN,
    PREDICTION_COLUMNS,
    READ_COLUMNS,
    Peer,
)
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Read the year, train on all months except the last, and write the predictions of the year."""
    peer = Peer()
    parts = [
        compute_features(clean_trips(pd.read_parquet(file, columns=READ_COLUMNS), year, month))
        for file, (year, month) in zip(peer.files, peer.months, strict=True)
    ]
    peer.accepted_rows = sum(map(len, parts))
    peer.record_stage("read")
    train = pd.concat(parts[:-1], ignore_index=True)
    matrix = xgb.QuantileDMatrix(train[FEATURES], label=train["high_tip"], max_bin=MAX_BIN)
    del train
    peer.record_stage("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.record_stage("train")
    for month, part in zip(peer.months, parts, strict=True):
        probability = booster.inplace_predict(part[FEATURES].to_numpy())
        peer.record_stage("predict")
        predictions = part[PREDICTION_COLUMNS].assign(
            probability=probability, prediction=probability >= DECISION_THRESHOLD
        )
        predictions.to_parquet(peer.prediction_file(month), index=False)
        peer.record_stage("write")
    peer.print_result()


if __name__ == "__main__":
    main()
