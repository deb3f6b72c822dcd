"""The original's way: pandas and a random forest of scikit-learn, trained on one month, month by month from then on.

With `--learn-from` it is trained on more of them, put together in memory.
"""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from benchmarks.peers.common import COLUMNS, FEATURES, KEYS, Peer
from benchmarks.peers.rows import features, kept


def main() -> None:
    """Read a month, train on the first or the first few, predict, write; then the next."""
    peer = Peer()
    forest = RandomForestClassifier(
        n_estimators=100, max_depth=10, n_jobs=peer.options.workers, random_state=0
    )
    learned = [_month(peer, number) for number in range(peer.options.learn_from)]
    known = pd.concat(learned, ignore_index=True)
    forest.fit(known[FEATURES], known["high_tip"])
    peer.lap("train")
    for number, where in enumerate(peer.months):
        part = learned[number] if number < len(learned) else _month(peer, number)
        chance = forest.predict_proba(part[FEATURES])[:, 1].astype("float32")
        peer.lap("predict")
        part[KEYS].assign(probability=chance, prediction=chance >= 0.5).to_parquet(
            peer.part(where), index=False
        )
        peer.lap("write")
    peer.tell()


def _month(peer: Peer, number: int) -> pd.DataFrame:
    part = features(kept(pd.read_parquet(peer.files[number], columns=COLUMNS), *peer.months[number]))
    peer.kept += len(part)
    peer.lap("read")
    return part


if __name__ == "__main__":
    main()
