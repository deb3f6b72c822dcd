"""Dask as its documentation has it: `dd.read_parquet`, a `DaskXGBClassifier`, `to_parquet`."""

from __future__ import annotations

import dask.dataframe as dd
from distributed import Client, LocalCluster
from xgboost.dask import DaskXGBClassifier

from benchmarks.peers.common import COLUMNS, FEATURES, KEYS, Peer
from benchmarks.peers.rows import features, kept


def main() -> None:
    """Read, train on all months but the last, predict the year, write it."""
    peer = Peer()
    cluster = LocalCluster(
        n_workers=peer.options.workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, Client(cluster) as client:
        months = [
            dd.read_parquet(file, columns=COLUMNS).map_partitions(kept, year, month).map_partitions(features)
            for file, (year, month) in zip(peer.files, peer.months, strict=True)
        ]
        frame = client.persist(dd.concat(months))
        peer.kept = len(frame)
        peer.lap("read")
        train = dd.concat([frame.partitions[number] for number in range(len(months) - 1)])
        params = peer.params()
        del params["objective"], params["nthread"]
        model = DaskXGBClassifier(n_estimators=peer.options.rounds, **params)
        model.client = client
        model.fit(train[FEATURES], train["high_tip"])
        peer.lap("train")
        for number, where in enumerate(peer.months):
            part = frame.partitions[number]
            chance = model.predict_proba(part[FEATURES])[:, 1]
            chance.compute_chunk_sizes()
            told = part[KEYS].reset_index(drop=True)
            told["probability"] = chance.to_dask_dataframe(index=told.index)
            told["prediction"] = told["probability"] >= 0.5
            told.to_parquet(peer.part(where).parent, write_index=False)
        peer.lap("predict")
    peer.tell()


if __name__ == "__main__":
    main()
