"""Ways to score lazily, side by side: our map over partitions, dask-ml's ParallelPostFit, and `xgboost.dask`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import xgboost as xgb
from dask_ml.wrappers import ParallelPostFit
from xgboost import dask as dxgb

from toytip.core.splits import plan_split, split_names
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages import preprocess
from toytip.stages.clean import clean
from toytip.stages.conform import conform
from toytip.stages.featurize import feature_set, featurize
from toytip.stages.infer import predict_probabilities
from toytip.training.boosting import boost, build_matrix, model_bytes, xgboost_params


def main() -> int:
    """Print the seconds and the mean probability of each way, twice; the first round warms up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("source", type=Path, help="months to score")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    codes, booster = _prepare(options.source, options.rounds)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    )
    with (
        cluster,
        distributed.Client(cluster) as client,
        dask.config.set({"dataframe.convert-string": False}),
    ):
        frame = dd.from_pandas(codes, npartitions=12, sort=False).persist()
        distributed.wait(frame)
        classifier, model = xgb.XGBClassifier(n_jobs=1), xgb.Booster()
        classifier.load_model(bytearray(booster))
        model.load_model(bytearray(booster))
        wrapped, empty = ParallelPostFit(classifier), np.empty(0, np.float32)
        ways: dict[str, Callable[[], Any]] = {
            "map_partitions": lambda: frame.map_partitions(
                predict_probabilities, booster, meta=empty, enforce_metadata=False
            ).compute(),
            "ParallelPostFit": lambda: wrapped.predict_proba(frame)[:, 1].compute(),
            "xgboost.dask": lambda: dxgb.inplace_predict(client, model, frame).compute(),
        }
        for way in (*ways, *ways):
            start = time.perf_counter()
            mean = float(np.mean(np.asarray(ways[way]())))
            took = time.perf_counter() - start
            sys.stdout.write(f"{way:16s} {len(codes):,} rows  {took:.2f} s  mean probability {mean:.6f}\n")
    return 0


def _prepare(folder: Path, rounds: int) -> tuple[pd.DataFrame, bytes]:
    """Return the codes of all rows, and a model of the training months."""
    source = open_source(str(folder))
    split, names = plan_split(source.months), feature_set("payment")
    parts = [featurize(clean(conform(read_partition(part), part))[0]) for part in source.partitions(500_000)]
    censuses = [preprocess.count_values(part, names, split, "all") for part in parts]
    encoding = preprocess.fit_encoding(reduce(preprocess.ValueCounts.merge, censuses), split, "all")
    codes = pd.concat([preprocess.encode(part, encoding) for part in parts], ignore_index=True)
    rows = pd.concat([split_names(part, split, "all") for part in parts], ignore_index=True) == "train"
    label = pd.concat([part["high_tip"] for part in parts], ignore_index=True)[rows].to_numpy()
    matrix = build_matrix([(codes[rows], None)], encoding.bin_counts, threads=2)
    params = xgboost_params({"max_depth": 6, "eta": 0.1}, encoding.max_bin, float(label.mean()))
    booster, best = boost(matrix, label, None, params, rounds=rounds, threads=2)
    return codes, model_bytes(booster, best.round)


if __name__ == "__main__":
    sys.exit(main())
