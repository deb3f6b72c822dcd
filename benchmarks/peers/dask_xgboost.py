"""A script as in Dask's documentation: `dd.read_parquet`, a `DaskXGBClassifier`, `to_parquet`."""

from __future__ import annotations

import dask.dataframe as dd
from distributed import Client, LocalCluster
from xgboost.dask import DaskXGBClassifier

from benchmarks.peers.common import (
    DECISION_THRESHOLD,
    FEATURES,
    PREDICTION_COLUMNS,
    READ_COLUMNS,
    Peer,
)
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Read the year, train on all months except the last, and write the predictions of the year."""
    peer = Peer()
    cluster = LocalCluster(
        n_workers=peer.options.workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, Client(cluster) as client:
        months = [
            dd.read_parquet(file, columns=READ_COLUMNS)
            .map_partitions(clean_trips, year, month)
            .map_partitions(compute_features)
            for file, (year, month) in zip(peer.files, peer.months, strict=True)
        ]
        frame = client.persist(dd.concat(months))
        peer.accepted_rows = len(frame)
        peer.record_stage("read")
        train = dd.concat([frame.partitions[index] for index in range(len(months) - 1)])
        params = peer.params()
        del params["objective"], params["nthread"]
        model = DaskXGBClassifier(n_estimators=peer.options.rounds, **params)
        model.client = client
        model.fit(train[FEATURES], train["high_tip"])
        peer.record_stage("train")
        for index, month in enumerate(peer.months):
            partition = frame.partitions[index]
            probability = model.predict_proba(partition[FEATURES])[:, 1]
            probability.compute_chunk_sizes()
            predictions = partition[PREDICTION_COLUMNS].reset_index(drop=True)
            predictions["probability"] = probability.to_dask_dataframe(index=predictions.index)
            predictions["prediction"] = predictions["probability"] >= DECISION_THRESHOLD
            predictions.to_parquet(peer.prediction_file(month).parent, write_index=False)
        peer.record_stage("predict")
    peer.print_result()


if __name__ == "__main__":
    main()
