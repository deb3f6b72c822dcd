"""Dask as its documentation has it: `dd.read_parquet`, a `DaskXGBClassifier`, `to_parquet`."""

from __future__ import annotations

import dask.dataframe as dd
from distributed import Client, LocalCluster
from xgboost.dask import DaskXGBClassifier

from benchmarks.peers.common import FEATURES, PREDICTION_COLUMNS, READ_COLUMNS, Peer
from benchmarks.peers.rows import clean_trips, compute_features


def main() -> None:
    """Read, train on all months but the last, predict the year, write it."""
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
        peer.kept = len(frame)
        peer.record_lap("read")
        train = dd.concat([frame.partitions[number] for number in range(len(months) - 1)])
        params = peer.params()
        del params["objective"], params["nthread"]
        model = DaskXGBClassifier(n_estimators=peer.options.rounds, **params)
        model.client = client
        model.fit(train[FEATURES], train["high_tip"])
        peer.record_lap("train")
        for number, where in enumerate(peer.months):
            part = frame.partitions[number]
            chance = model.predict_proba(part[FEATURES])[:, 1]
            chance.compute_chunk_sizes()
            told = part[PREDICTION_COLUMNS].reset_index(drop=True)
            told["probability"] = chance.to_dask_dataframe(index=told.index)
            told["prediction"] = told["probability"] >= 0.5
            told.to_parquet(peer.prediction_file(where).parent, write_index=False)
        peer.record_lap("predict")
    peer.print_result()


if __name__ == "__main__":
    main()
