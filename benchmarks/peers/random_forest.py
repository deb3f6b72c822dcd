"""A script as in toy-ml-pipeline: pandas and a random forest, which scores month by month.

The forest is trained on the first month, or on the first `--train-months` months together.
"""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from benchmarks.peers.common import DECISION_THRESHOLD, FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Train on the first months. Then read, score and write one month after the other."""
    peer = Peer()
    forest = RandomForestClassifier(
        n_estimators=100, max_depth=10, n_jobs=peer.options.workers, random_state=0
    )
    train_parts = [_read_month(peer, index) for index in range(peer.options.train_months)]
    train = pd.concat(train_parts, ignore_index=True)
    forest.fit(train[FEATURES], train["high_tip"])
    peer.record_stage("train")
    for index, month in enumerate(peer.months):
        part = train_parts[index] if index < len(train_parts) else _read_month(peer, index)
        probability = forest.predict_proba(part[FEATURES])[:, 1].astype("float32")
        peer.record_stage("predict")
        predictions = part[PREDICTION_COLUMNS].assign(
            probability=probability, prediction=probability >= DECISION_THRESHOLD
        )
        predictions.to_parquet(peer.prediction_file(month), index=False)
        peer.record_stage("write")
    peer.print_result()


def _read_month(peer: Peer, index: int) -> pd.DataFrame:
    trips = pd.read_parquet(peer.files[index], columns=READ_COLUMNS)
    part = compute_features(clean_trips(trips, *peer.months[index]))
    peer.accepted_rows += len(part)
    peer.record_stage("read")
    return part


if __name__ == "__main__":
    main()
