"""Compare three ways to score trips: toytip's partitions, ParallelPostFit and `xgboost.dask`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import reduce
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import xgboost as xgb
from dask_ml.wrappers import ParallelPostFit
from xgboost import dask as dxgb

from benchmarks.arguments import positive_int
from toytip.core.columns import LABEL_COLUMN
from toytip.core.parameters import BoosterParams
from toytip.core.splits import plan_split, split_names
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ToytipError
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages import preprocess
from toytip.stages.clean import clean
from toytip.stages.conform import conform
from toytip.stages.featurize import featurize
from toytip.stages.infer import predict_probabilities
from toytip.training.boosting import model_bytes
from toytip.training.local import train_in_process
from toytip.training.spec import TrainingSpec


def main() -> int:
    """Print seconds and mean probability of each way, in two passes. The first one warms up.

    Return 0, or exit with 2 if the source cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("source", help="folder with monthly files to score")
    parser.add_argument(
        "--rounds", type=positive_int, default=100, help="number of boosting rounds of the model"
    )
    options = parser.parse_args()
    try:
        matrix, booster = _prepare(options.source, options.rounds)
    except ToytipError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    )
    with (
        cluster,
        distributed.Client(cluster) as client,
        dask.config.set({"dataframe.convert-string": False}),
    ):
        frame = dd.from_pandas(matrix, npartitions=12, sort=False).persist()
        distributed.wait(frame)
        ways = _scoring_ways(client, frame, booster)
        for name, score in (*ways.items(), *ways.items()):
            start = time.perf_counter()
            mean = float(np.mean(np.asarray(score())))
            seconds = time.perf_counter() - start
            print(f"{name:16s} {len(matrix):,} rows  {seconds:.2f} s  mean probability {mean:.6f}")
    return 0


def _scoring_ways(
    client: distributed.Client, frame: dd.DataFrame, booster: bytes
) -> dict[str, Callable[[], Any]]:
    classifier, model = xgb.XGBClassifier(n_jobs=1), xgb.Booster()
    classifier.load_model(bytearray(booster))
    model.load_model(bytearray(booster))
    wrapped, empty = ParallelPostFit(classifier), np.empty(0, np.float32)
    return {
        "map_partitions": lambda: frame.map_partitions(
            predict_probabilities, booster, meta=empty, enforce_metadata=False
        ).compute(),
        "ParallelPostFit": lambda: wrapped.predict_proba(frame)[:, 1].compute(),
        "xgboost.dask": lambda: dxgb.inplace_predict(client, model, frame).compute(),
    }


def _prepare(spec: str, rounds: int) -> tuple[pd.DataFrame, bytes]:
    """Return the bin indexes of all rows of a source, and a model of its training months."""
    source = open_source(spec)
    split, names = plan_split(source.months), TLC.feature_set("payment")
    parts = [
        featurize(clean(conform(read_partition(partition), partition, TLC), TLC)[0], TLC)
        for partition in source.partitions(500_000)
    ]
    counts = [preprocess.count_values(part, names, split, "all", TLC) for part in parts]
    encoding = preprocess.fit_encoding(reduce(preprocess.ValueCounts.merge, counts), split, "all", TLC)
    matrix = pd.concat([preprocess.encode(part, encoding) for part in parts], ignore_index=True)
    train = pd.concat([split_names(part, split, "all", TLC) for part in parts], ignore_index=True) == "train"
    label = pd.concat([part["high_tip"] for part in parts], ignore_index=True)[train].to_numpy()
    rows = matrix[train].assign(**{LABEL_COLUMN: label})
    spec = TrainingSpec(params=BoosterParams(rounds=rounds), bin_counts=encoding.bin_counts)
    booster, best = train_in_process([rows], None, spec, threads=2)
    return matrix, model_bytes(booster, best.round)


if __name__ == "__main__":
    sys.exit(main())
