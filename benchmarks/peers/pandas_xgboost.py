"""pandas and XGBoost in one process."""

from __future__ import annotations

import pandas as pd
import xgboost as xgb

from benchmarks.peers.common import FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Read, train on all months but the last, predict the year, write it."""
    peer = Peer()
    parts = [
        compute_features(clean_trips(pd.read_parquet(file, columns=READ_COLUMNS), year, month))
        for file, (year, month) in zip(peer.files, peer.months, strict=True)
    ]
    peer.kept = sum(map(len, parts))
    peer.record_lap("read")
    train = pd.concat(parts[:-1], ignore_index=True)
    matrix = xgb.QuantileDMatrix(train[FEATURES], label=train["high_tip"], max_bin=256)
    del train
    peer.record_lap("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.record_lap("train")
    for where, part in zip(peer.months, parts, strict=True):
        chance = booster.inplace_predict(part[FEATURES].to_numpy())
        peer.record_lap("predict")
        part[PREDICTION_COLUMNS].assign(probability=chance, prediction=chance >= 0.5).to_parquet(
            peer.prediction_file(where), index=False
        )
        peer.record_lap("write")
    peer.print_result()


if __name__ == "__main__":
    main()
