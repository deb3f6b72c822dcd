"""The original's way: pandas and a random forest of scikit-learn, trained on one month, month by month from then on."""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from benchmarks.peers.common import COLUMNS, FEATURES, KEYS, Peer
from benchmarks.peers.rows import features, kept


def main() -> None:
    """Read a month, train on the first, predict, write; then the next."""
    peer = Peer()
    forest = RandomForestClassifier(
        n_estimators=100, max_depth=10, n_jobs=peer.options.workers, random_state=0
    )
    for number, (file, where) in enumerate(zip(peer.files, peer.months, strict=True)):
        part = features(kept(pd.read_parquet(file, columns=COLUMNS), *where))
        peer.kept += len(part)
        peer.lap("read")
        if number == 0:
            forest.fit(part[FEATURES], part["high_tip"])
            peer.lap("train")
        chance = forest.predict_proba(part[FEATURES])[:, 1].astype("float32")
        peer.lap("predict")
        part[KEYS].assign(probability=chance, prediction=chance >= 0.5).to_parquet(
            peer.part(where), index=False
        )
        peer.lap("write")
    peer.tell()


if __name__ == "__main__":
    main()
