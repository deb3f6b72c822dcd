"""The sum of the unavoidable steps: decode the needed columns, train, predict, write.

The time for cleaning, features and the preparation of the matrix does not count. A contender that
does the complete work cannot be much faster than this sum.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from benchmarks.peers.common import FEATURES, MAX_BIN, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Run and measure the four steps one after the other."""
    peer = Peer()
    pa.set_cpu_count(peer.options.workers)
    parts = []
    for file, month in zip(peer.files, peer.months, strict=True):
        table = pq.read_table(file, columns=READ_COLUMNS)
        peer.record_stage("read")
        parts.append(compute_features(clean_trips(table.to_pandas(), *month)))
        peer.skip_time()
    peer.accepted_rows = sum(map(len, parts))
    train = pa.concat_tables([pa.Table.from_pandas(part, preserve_index=False) for part in parts[:-1]])
    matrix = xgb.QuantileDMatrix(train.select(FEATURES), label=train["high_tip"].to_numpy(), max_bin=MAX_BIN)
    del train
    peer.skip_time()
    booster = xgb.train(peer.params(), matrix, peer.options.rounds)
    peer.record_stage("train")
    del matrix
    for month, part in zip(peer.months, parts, strict=True):
        rows = part[FEATURES].to_numpy()
        columns = pa.Table.from_pandas(part[PREDICTION_COLUMNS], preserve_index=False)
        peer.skip_time()
        probability = booster.inplace_predict(rows)
        peer.record_stage("predict")
        predictions = columns.append_column("probability", pa.array(probability))
        pq.write_table(predictions, peer.prediction_file(month))
        peer.record_stage("write")
    peer.print_result()


if __name__ == "__main__":
    main()
