"""pandas and XGBoost in one process."""

from __future__ import annotations

import pandas as pd
import xgboost as xgb

from benchmarks.peers.common import COLUMNS, FEATURES, KEYS, Peer
from benchmarks.peers.rows import features, kept


def main() -> None:
    """Read, train on all months but the last, predict the year, write it."""
    peer = Peer()
    parts = [
        features(kept(pd.read_parquet(file, columns=COLUMNS), year, month))
        for file, (year, month) in zip(peer.files, peer.months, strict=True)
    ]
    peer.kept = sum(map(len, parts))
    peer.lap("read")
    train = pd.concat(parts[:-1], ignore_index=True)
    matrix = xgb.QuantileDMatrix(train[FEATURES], label=train["high_tip"], max_bin=256)
    del train
    peer.lap("bin")
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    del matrix
    peer.lap("train")
    for where, part in zip(peer.months, parts, strict=True):
        chance = booster.inplace_predict(part[FEATURES].to_numpy())
        peer.lap("predict")
        part[KEYS].assign(probability=chance, prediction=chance >= 0.5).to_parquet(
            peer.part(where), index=False
        )
        peer.lap("write")
    peer.tell()


if __name__ == "__main__":
    main()
