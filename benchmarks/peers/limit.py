"""What cannot be left out, summed: decode the needed columns, train on a matrix that is ready, predict, write.

Cleaning, features and the making of the matrix are not counted: nothing that does the whole work can be much faster.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from benchmarks.peers.common import FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Time the four, one by one."""
    peer = Peer()
    pa.set_cpu_count(peer.options.workers)
    parts = []
    for file, where in zip(peer.files, peer.months, strict=True):
        table = pq.read_table(file, columns=READ_COLUMNS)
        peer.record_lap("read")
        parts.append(compute_features(clean_trips(table.to_pandas(), *where)))
        peer.skip()
    peer.kept = sum(map(len, parts))
    whole = pa.concat_tables([pa.Table.from_pandas(part, preserve_index=False) for part in parts[:-1]])
    matrix = xgb.QuantileDMatrix(whole.select(FEATURES), label=whole["high_tip"].to_numpy(), max_bin=256)
    del whole
    peer.skip()
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    peer.record_lap("train")
    del matrix
    for where, part in zip(peer.months, parts, strict=True):
        rows, told = (
            part[FEATURES].to_numpy(),
            pa.Table.from_pandas(part[PREDICTION_COLUMNS], preserve_index=False),
        )
        peer.skip()
        chance = booster.inplace_predict(rows)
        peer.record_lap("predict")
        pq.write_table(told.append_column("probability", pa.array(chance)), peer.prediction_file(where))
        peer.record_lap("write")
    peer.print_result()


if __name__ == "__main__":
    main()
