"""The original's way: pandas and a random forest of scikit-learn, trained on one month, month by month from then on.

With `--learn-from` it is trained on more of them, put together in memory.
"""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from benchmarks.peers.common import FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Read a month, train on the first or the first few, predict, write; then the next."""
    peer = Peer()
    forest = RandomForestClassifier(
        n_estimators=100, max_depth=10, n_jobs=peer.options.workers, random_state=0
    )
    learned = [_read_month(peer, number) for number in range(peer.options.learn_from)]
    known = pd.concat(learned, ignore_index=True)
    forest.fit(known[FEATURES], known["high_tip"])
    peer.record_lap("train")
    for number, where in enumerate(peer.months):
        part = learned[number] if number < len(learned) else _read_month(peer, number)
        chance = forest.predict_proba(part[FEATURES])[:, 1].astype("float32")
        peer.record_lap("predict")
        part[PREDICTION_COLUMNS].assign(probability=chance, prediction=chance >= 0.5).to_parquet(
            peer.prediction_file(where), index=False
        )
        peer.record_lap("write")
    peer.print_result()


def _read_month(peer: Peer, month: int) -> pd.DataFrame:
    part = compute_features(
        clean_trips(pd.read_parquet(peer.files[month], columns=READ_COLUMNS), *peer.months[month])
    )
    peer.kept += len(part)
    peer.record_lap("read")
    return part


if __name__ == "__main__":
    main()
